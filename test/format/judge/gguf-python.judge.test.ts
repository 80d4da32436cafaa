import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeSafetensors } from "../../../src/checkpoint/safetensors/write-safetensors.js";
import { GgufFile } from "../../../src/format/gguf/read.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { type RtnScheme, rtnSource } from "../rtn-source.js";
import { missingPackage, runJudge } from "./judge.js";

const model = "models/sotu-llama-7m";
const missing = missingPackage("gguf");
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-py-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** Every type that gguf-py 0.19 decodes, each in two of the layers; Q2_0 came later and is judged by llama.cpp. */
const schemes: readonly RtnScheme[] = [
  { bits: 4, group: 32, symmetric: true },
  { bits: 4, group: 64, symmetric: false },
  { bits: 4, group: 256, symmetric: false },
  { bits: 8, group: 32, symmetric: true },
  { bits: 3, group: 256, symmetric: true },
  { bits: 2, group: 256, symmetric: true },
  { bits: 2, group: 256, symmetric: false },
  { bits: 5, group: 64, symmetric: false },
];

async function writeDecodedTensors(path: string, folder: string): Promise<string> {
  using file = GgufFile.open(path);
  const tensors = [...file.tensors.values()].map(({ name, shape }) => ({
    name,
    dtype: "F32" as const,
    shape,
    byteLength: 4 * shape.reduce((product, size) => product * size, 1),
    bytes: () => new Uint8Array(file.dequantize(name).buffer),
  }));
  await writeSafetensors(folder, tensors);
  return join(folder, "model.safetensors");
}

describe.skipIf(missing !== "")(`gguf-py reads what crossblock writes${missing}`, () => {
  it("decodes bit for bit the same values in every type", async () => {
    const schemeOf = (name: string): RtnScheme | null => schemes[Number(name.split(".")[2])] ?? null;
    const pairs: string[] = [];
    for (const [name, options] of [
      ["exact", { embedding: "f16" }],
      ["rounded", { embedding: "q8_0", reencode: true }],
    ] as const) {
      using source = await rtnSource(model, { schemeOf });
      const path = join(scratch, `${name}.gguf`);
      await writeGguf(source, path, options);
      pairs.push(path, await writeDecodedTensors(path, join(scratch, name)));
    }
    const { results, log, status } = runJudge("gguf_dequantize.py", pairs);
    expect(status, log).toBe(0);
    const K = { Q2_K: 7, Q3_K: 7, Q4_K: 7 };
    expect(results).toMatchObject([
      { differing: [], unknown: [], types: { Q4_0: 7, Q4_1: 7, Q8_0: 14, TQ2_0: 7, ...K, F16: 1, F32: 17 } },
      { differing: [], unknown: [] },
    ]);
  });
});
