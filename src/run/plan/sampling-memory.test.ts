import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { type DecoderSpec, decoderUnits, readSpec } from "../../network/index.js";
import { resolveSchemes } from "../../recipe/job/layer-schemes.js";
import { type RunOptions, resolveOptions, schemeOf, type UntypedOptions } from "../options/options.js";
import { type FittedPlan, fitMemory } from "./fit-memory.js";
import { samplingBatch, samplingBytes, samplingOperations } from "./sampling-memory.js";
import { slowMachine } from "./testing/slow-machine.js";

const model = fileURLToPath(new URL("../../../models/sotu-llama-7m", import.meta.url));
let spec: DecoderSpec;
beforeAll(async () => {
  spec = readSpec(await readModelConfig(model));
});

function options(...more: readonly UntypedOptions[]): RunOptions {
  const given = { model, scheme: "W2A16g64", out: "o", recipe: "gptq", calibration: ["self-generated"], samples: 40 };
  return { ...resolveOptions(given, ...more), context: 100 };
}

describe("what a model takes that makes its text up", () => {
  it("is the network, the room of the caches, and the probabilities of a token", () => {
    const [block, embedding, norms] = [6291456 / 8, 4096 * 256, 17 * 256];
    const bytes = (batch: number, dtype: string): number =>
      samplingBytes({ spec, options: options({ selfGenerated: { batch }, compute: { dtype } }) });
    // 8 blocks, keys and values of 4 heads of 32, room for 128 tokens in place of 100.
    const row = 8 * 2 * 4 * 32 * 128;
    expect(bytes(8, "float32")).toBe(
      (8 * block + embedding + norms) * 4 + spec.maxPositions * 32 * 4 + 8 * (row * 4 + 4096 * (4 + 49)),
    );
    expect(bytes(16, "bfloat16") - bytes(8, "bfloat16")).toBe(8 * (row * 2 + 4096 * (2 + 49)));
    // The embedding is tied: it is multiplied with, too.
    expect(samplingOperations({ spec, options: options() })).toBe(2 * (8 * block + embedding + norms) * 40 * 100);
  });

  it("is nothing where text is read", () => {
    const reading = options({ calibration: ["text.txt"] });
    expect([samplingBatch(reading), samplingBytes({ spec, options: reading })]).toEqual([0, 0]);
    expect(samplingOperations({ spec, options: reading })).toBe(0);
  });

  it("is brought within a budget by fewer sequences at once", async () => {
    using checkpoint = await Checkpoint.open(model);
    const fitted = (more: UntypedOptions, spareBytes = 64e9): FittedPlan => {
      const asked = options(more);
      const schemes = resolveSchemes(decoderUnits(spec), schemeOf(asked), asked.overrides);
      return fitMemory({
        ...{ options: asked, scheme: schemeOf(asked), spec, schemes, activations: null, checkpoint, exports: [] },
        ...{
          census: { quantized: 0, computed: 0, leftOut: [] },
          device: "cuda:0",
          speed: slowMachine,
          effort: null,
          kernels: true,
        },
        ...{
          fusedAttention: false,
          baseBytes: 280e6,
          measuredBytes: 280e6,
          workspaceBytes: 0,
          textWhy: null,
          spareBytes,
        },
      });
    };
    expect(fitted({}).sampling).toBe(40);
    const tight = fitted({ maxMemory: "60MB" });
    expect(tight.sampling).toBeLessThan(40);
    expect(tight.sampling).toBeGreaterThan(1);
    expect(tight.plan.selfGenerated?.atOnce).toBe(tight.sampling);
    expect(tight.plan.estimate.deviceBytes).toBeLessThan(60e6);
    expect(fitted({}, 1e6).sampling).toBe(1);
    expect(fitted({ selfGenerated: { batch: 7 } }, 1e6).sampling).toBe(7);
    // A network that takes more than is spare leaves the windows what they would have.
    const cbq = { recipe: "cbq", scheme: "W8A16", window: { size: 1, overlap: 0 } };
    const small = { ...cbq, selfGenerated: { batch: 40 } };
    const spare = 2.2 * fitted({ ...cbq, calibration: ["text.txt"] }).plan.estimate.deviceBytes;
    const read = fitted({ ...cbq, calibration: ["text.txt"] }, spare);
    expect(fitted(small, spare)).toMatchObject({ microBatch: read.microBatch, finish: read.finish });
    expect(() => fitted({ maxMemory: "30MB" })).toThrow(/Next: give --max-memory \d+MB.*--calibration PATH/);
  });
});
