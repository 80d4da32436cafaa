import { afterEach, expect, it, vi } from "vitest";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import type { JudgeInput } from "../../../src/run/verify/runtime/judge-runtime.js";
import { judgeRuntime } from "../../../src/run/verify/runtime/judge-runtime.js";
import type { OwnLogits } from "../../../src/run/verify/runtime/own-logits.js";
import { runtimes } from "../../../src/run/verify/runtime/runtimes.js";

vi.mock("../../../src/run/verify/runtime/find-package.js", () => ({
  findPackage: () => ({ entry: "runtime.js", version: "1.2.3" }),
}));
afterEach(() => vi.restoreAllMocks());

const own: OwnLogits = { tokens: [0, 1, 2], texts: [], logits: new Float32Array(9), vocabulary: 3 };
// Each says with much certainty what the reference holds for one of three.
const far = Float32Array.from([9, 0, 0, 9, 0, 0, 9, 0, 0]);

/** What is said of a GGUF file from which the runtime computes `written`; with the same weights in fp32 it agrees. */
async function judged(written: Float32Array, loss: number | null): ReturnType<typeof judgeRuntime> {
  const runtime = runtimes.gguf;
  if (runtime === undefined) throw new Error("GGUF has a runtime");
  const answers = [written, own.logits];
  vi.spyOn(runtime, "run").mockImplementation(async () => ({ logits: answers.shift() ?? written, ids: null }));
  vi.spyOn(runtime, "writePlain").mockResolvedValue("plain.gguf");
  const input: JudgeInput = {
    found: { format: "gguf", path: "a.gguf" },
    result: { linears: new Map() } as unknown as ExportSource,
    loss,
    project: null,
    own: async () => own,
    onRun: () => {},
    signal: new AbortController().signal,
  };
  return await judgeRuntime(input);
}

it("holds a file to the limit where all is exact, and where only the embedding is rounded to q8_0", async () => {
  for (const loss of [null, 1.6e-4]) {
    const { verdict, disagreements } = await judged(far, loss);
    expect(verdict.status).toBe("disagrees");
    expect(disagreements).toEqual([{ tensor: "logits", what: expect.stringMatching(/the export: .* more than 1$/) }]);
    expect((await judged(own.logits, loss)).verdict.status).toBe("agrees");
  }
});

it("expects a difference of weights that were encoded anew, which it tells and does not judge", async () => {
  const { verdict, disagreements } = await judged(far, 5e-3);
  expect(disagreements).toEqual([]);
  expect(verdict).toMatchObject({ status: "agrees", note: expect.stringMatching(/not exact have a part/) });
});
