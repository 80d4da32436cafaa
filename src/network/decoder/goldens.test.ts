import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { checkpointSource, Decoder, readSpec, type TensorSource } from "../index.js";
import { compareGolden, difference } from "../testing/compare-golden.js";

const goldens = join(import.meta.dirname, "../testing/goldens");
const families = readdirSync(goldens).sort();

describe.each(families)("%s, as transformers saved it", (family) => {
  const folder = join(goldens, family);
  const placement = { device: "cpu", dtype: "float32" } as const;

  it("has its logits and hidden states to 1e-4, whole and with a cache", async () => {
    using checkpoint = await Checkpoint.open(folder);
    using golden = await Checkpoint.open(join(folder, "outputs"));
    const spec = readSpec(await readModelConfig(folder));
    compareGolden(checkpointSource(checkpoint, placement), spec, golden, { lastHidden: false });
  });

  it("shows when any of its tensors is another one", async () => {
    using checkpoint = await Checkpoint.open(folder);
    const spec = readSpec(await readModelConfig(folder));
    const source = checkpointSource(checkpoint, placement);
    const logitsWithout = (changed: string | null): Tensor => {
      const altered: TensorSource = (name, shape) => {
        const tensor = source(name, shape);
        return name === changed ? noGrad(() => tensor.mul_(-1)) : tensor;
      };
      using decoder = Decoder.load(altered, spec);
      const ids = Tensor.from(
        Int32Array.from({ length: 24 }, (_, i) => (i * 7 + 3) % spec.vocabSize),
        [1, 24],
      );
      return decoder.logits(ids.to("int64"));
    };
    scope(() => {
      const own = logitsWithout(null);
      for (const name of checkpoint.tensors.keys()) {
        // The softmax cancels what adds the same to the scores of all keys, as this does without rotary positions.
        const cancels = name.endsWith("k_proj.bias") && spec.embedding.positions !== null;
        const moved = difference(logitsWithout(name), own);
        if (cancels) expect([name, moved]).toEqual([name, expect.closeTo(0, 4)]);
        else expect([name, moved > 1e-3]).toEqual([name, true]);
      }
    });
  });
});
