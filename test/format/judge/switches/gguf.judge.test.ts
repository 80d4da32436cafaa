import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelConfig, readModelConfig } from "../../../../src/checkpoint/model-config.js";
import { CrossblockError } from "../../../../src/errors.js";
import { compareLogits } from "../../../../src/evaluate/compare-logits.js";
import { modelShape } from "../../../../src/format/gguf/network/model-shape.js";
import { writeGguf } from "../../../../src/format/gguf/write.js";
import { sourceSpec } from "../../../../src/format/source/source-spec.js";
import { openLlamaCpp } from "../../../../src/run/verify/runtime/llama-cpp.js";
import { ourLogits, ourNetwork } from "../../our-network.js";
import { importLlamaCpp } from "../llama-cpp-package.js";
import { madeUp, NOTHING, switches } from "./made-up.js";
import { changed, goldenNames, goldens, writeTokenizer } from "./networks.js";

const llamaCpp = await importLlamaCpp();
const missing =
  llamaCpp === null
    ? " (skipped: node-llama-cpp is not installed)"
    : goldenNames.length === 0
      ? " (skipped: shared/goldens is not on this machine)"
      : "";
const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"]?.split(",");
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-flags-"));
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** The first token with logits that are not near; the number of tokens where all are. */
function farFrom(theirs: Float32Array, ours: Float32Array, vocabulary: number): number {
  const far = theirs.findIndex((logit, i) => !(Math.abs(logit - (ours[i] ?? 0)) < 0.1));
  return far < 0 ? theirs.length / vocabulary : Math.floor(far / vocabulary);
}

describe.skipIf(missing !== "")(`llama.cpp loads what crossblock does not refuse${missing}`, () => {
  const known = goldenNames.filter(
    (name) => only?.includes(name) !== false && !/longrope|yarn|dynamic|k_eq_v/.test(name),
  );
  it.each(known)("%s, whatever its switches say", async (name) => {
    if (llamaCpp === null) return;
    const given = { ...(await readModelConfig(join(goldens, name))), ...changed[name] };
    const problems: string[] = [];
    for (const [key, value, without] of [["", false, NOTHING] as const, ...switches(given)]) {
      const config: ModelConfig = key === "" ? given : { ...given, [key]: value };
      const title = `${key} ${value}${without === NOTHING ? "" : " without biases of the output"}`;
      const folder = mkdtempSync(join(scratch, "model-"));
      writeFileSync(join(folder, "config.json"), JSON.stringify(config));
      const vocabulary = Number(config["vocab_size"]);
      writeTokenizer(folder, vocabulary);
      const path = join(folder, "model.gguf");
      try {
        const source = madeUp(config, folder, without);
        await writeGguf(source, path);
        const { contextLength } = modelShape(sourceSpec(source));
        const ids = Array.from({ length: Math.min(24, contextLength) }, (_, i) => (i * 37 + 5) % vocabulary);
        await using runtime = await openLlamaCpp(llamaCpp, path);
        using network = await ourNetwork(source);
        const [theirs, ours] = [await runtime.logits(ids, vocabulary), ourLogits(network, [ids])];
        const { divergence } = compareLogits(theirs, ours, ids);
        // The rounding of a cache in fp16 may send a token to other experts, and everything behind it sees that.
        const before = farFrom(theirs, ours, vocabulary);
        const routed = sourceSpec(source).blocks.some(({ mlp }) => mlp.kind === "experts");
        if (!(divergence < (routed ? 1e-2 : 1e-4)) || before < (routed ? 4 : ids.length)) {
          problems.push(`${title}: ${divergence}, far from token ${before} of ${ids.length} on`);
        }
      } catch (error) {
        if (error instanceof CrossblockError) {
          expect(error.next).toMatch(/--format/);
          console.log(name, title, String(error));
        } else problems.push(`${title}: ${String(error).slice(0, 200)}`);
      }
    }
    expect(problems).toEqual([]);
  });
});
