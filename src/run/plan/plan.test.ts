import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { decoderUnits, readSpec } from "../../network/index.js";
import { resolveSchemes } from "../../recipe/job/layer-schemes.js";
import type { Device } from "../../tensor/index.js";
import type { PlanEvent } from "../events/events.js";
import { resolveOptions, schemeOf, type UntypedOptions } from "../options/options.js";
import { makePlan } from "./plan.js";
import { slowMachine } from "./testing/slow-machine.js";

const model = fileURLToPath(new URL("../../../models/sotu-llama-7m", import.meta.url));

async function plan(
  scheme: string,
  extra: UntypedOptions = {},
  device: Device = "cpu",
  workspaceBytes = 0,
  measuredBytes = 280e6,
): Promise<PlanEvent> {
  const given = { model, scheme, out: "o", calibration: ["t"], context: 512, finish: "none", score: false };
  const window = (extra["recipe"] ?? "cbq") === "cbq" ? { batch: 8 } : {};
  const options = { ...resolveOptions({ ...given, window }, extra), context: 512 };
  const spec = readSpec(await readModelConfig(model));
  const parsed = schemeOf(options);
  const schemes = resolveSchemes(decoderUnits(spec), parsed, options.overrides);
  using checkpoint = await Checkpoint.open(model);
  return makePlan({
    options,
    scheme: parsed,
    spec,
    schemes,
    activations: null,
    checkpoint,
    exports: [],
    census: { quantized: 0, computed: 0, leftOut: [] },
    device,
    speed: slowMachine,
    effort: null,
    kernels: true,
    fusedAttention: device !== "cpu",
    baseBytes: 280e6,
    measuredBytes,
    workspaceBytes,
    textWhy: null,
  });
}

describe("makePlan", () => {
  it("counts weights, bits and bytes of the result", async () => {
    const { weights, linears, bitsPerWeight, estimate } = await plan("W2A16g64");
    expect({ weights, linears, bitsPerWeight }).toEqual({ weights: 6291456, linears: 56, bitsPerWeight: 2.25 });
    // Embedding and norms stay in bf16: 4096 x 256, and 17 norms of 256.
    expect(estimate.resultBytes).toBe((6291456 * 2.25) / 8 + 2 * (4096 * 256 + 17 * 256));
    expect((await plan("W2A16g64", { asym: true })).bitsPerWeight).toBe(2 + 18 / 64);
    expect((await plan("W4A16")).bitsPerWeight).toBeCloseTo(4 + 16 / 307.2, 6);
  });

  it("counts a training of the whole model: its parts, what learns, its memory, time and saved state", async () => {
    const kurtosis = { parts: 4, epochs: 2, batch: 8 };
    const more = { recipe: "kurtosis", samples: 64, activation: { granularity: "tensor" } };
    const trained = await plan("W4A4", { ...more, kurtosis });
    expect(trained.windows.slice(0, 5)).toEqual([...Array.from({ length: 4 }, () => [0, 7]), [0, 0]]);
    expect(trained.windowSeconds.length).toBe(4 + 8);
    // Linears, the tied embedding, 17 norms, and two ends of a range for each of 56 inputs.
    const weights = 6291456 + 4096 * 256 + 17 * 256;
    expect(trained.trainedParameters).toBe(weights + 112);
    expect((await plan("W4A16", { ...more, kurtosis, activation: {} })).trainedParameters).toBe(weights);
    expect(trained.estimate.deviceBytes).toBeGreaterThan(24 * weights);
    const long = await plan("W4A4", { ...more, kurtosis: { ...kurtosis, epochs: 4 } });
    expect((long.windowSeconds[0] ?? 0) / (trained.windowSeconds[0] ?? 1)).toBeCloseTo(2, 6);
    // One sequence at once holds less than eight.
    const narrow = await plan("W4A4", { ...more, kurtosis, window: { microBatch: 1 } });
    expect(narrow.estimate.deviceBytes).toBeLessThan(trained.estimate.deviceBytes);
    expect(trained.estimate.diskBytes).toBeGreaterThan(2 * 12 * weights);
  });

  it("counts scoring: of a small model its logits are what takes most, and its products take their time", async () => {
    const little = { recipe: "rtn", samples: 1 };
    const [scored, not] = [await plan("W4A16", { ...little, score: true }), await plan("W4A16", little)];
    // Three streams of 4 x 512 tokens; the head in fp32 with its bytes as stored, logits of 512 rows of three networks, eight
    // rows in float64.
    const scoring = 3 * 2048 * 256 * 4 + 4096 * 256 * 6 + 3 * 512 * 4096 * 4 + 512 * 4096;
    const streams = 512 * 256 * 4;
    expect(scored.estimate.deviceBytes - streams).toBe(scoring);
    expect(not.estimate.deviceBytes).toBeLessThan(scored.estimate.deviceBytes);
    const products = 3 * 2 * (6291456 + 4096 * 256) * 2048;
    // 24 tokens behind two prompts, by three networks with their norms; each reads the weights, which takes as long as 20 products.
    const texts = 2 * (6291456 + 4096 * 256 + 17 * 256) * (3 * 2 * 24) * 20;
    expect(scored.estimate.seconds - not.estimate.seconds).toBeCloseTo((products * 2.5 + texts) / 1e11, 9);
  });

  it("says no less of the host than what the process holds once the machine was measured", async () => {
    const of = async (measured: number): Promise<number> =>
      (await plan("W4A16g64", { recipe: "rtn" }, "cpu", 0, measured)).estimate.hostBytes;
    const own = await of(280e6);
    expect(own).toBeGreaterThan(280e6);
    expect(await of(own + 50e6)).toBe(own + 50e6);
  });

  it("counts the trained parameters of overlapping windows", async () => {
    const block = 6291456 / 8;
    const full = await plan("W2A16g64");
    expect(full.windows.length).toBe(7);
    expect(full.trainedParameters).toBe(7 * 2 * (block + block / 64));
    const asym = await plan("W2A16g64", { asym: true, window: { size: 1, overlap: 0 } });
    expect(asym.trainedParameters).toBe(8 * (block + (2 * block) / 64));
    const lora = await plan("W2A16g64", { rounding: { kind: "lora", rank: 5 } });
    expect(lora.trainedParameters).toBeLessThan(full.trainedParameters / 10);
    expect((await plan("W2A16g64", { recipe: "gptq" })).trainedParameters).toBe(0);
  });

  it("counts a window over all blocks for each end-to-end epoch, and the codes of all of them", async () => {
    const [none, scales] = [await plan("W4A4"), await plan("W4A4", { finish: "scales", endToEnd: { epochs: 3 } })];
    expect(scales.windows.slice(none.windows.length)).toEqual([
      [0, 7],
      [0, 7],
      [0, 7],
    ]);
    // A scale per row, and a clip per Linear.
    const rows = 8 * (256 + 2 * 128 + 256 + 2 * 768 + 256);
    expect(scales.trainedParameters - none.trainedParameters).toBe(3 * (rows + 56));
    expect(scales.estimate.seconds).toBeGreaterThan(none.estimate.seconds);
    const wide = { recipe: "gptq", finish: "scales", window: { microBatch: 8 }, endToEnd: { batch: 8 } };
    const stage = (await plan("W4A4", wide)).estimate.deviceBytes;
    expect(stage).toBeGreaterThan((await plan("W4A4", { ...wide, endToEnd: { batch: 2 } })).estimate.deviceBytes);
    // A byte a code, and the divergence of the tokens that fit into 256 MiB of 4,096 logits each.
    expect(stage).toBeGreaterThan(6291456 + 0.99 * 2 ** 28);
    expect((await plan("W4A4", { recipe: "gptq", finish: "auto" })).windows.length).toBe(8);
  });

  it("leaves out what an override skips, and takes its bits", async () => {
    const down = { pattern: "*.down_proj" };
    const skipped = await plan("W2A16g64", { overrides: [{ ...down, skip: true }] });
    expect(skipped.linears).toBe(48);
    expect(skipped.estimate.resultBytes).toBeGreaterThan((await plan("W2A16g64")).estimate.resultBytes);
    const mixed = await plan("W2A16g64", { overrides: [{ ...down, bits: 8, group: "channel" }] });
    expect(mixed.bitsPerWeight).toBeGreaterThan(3.4);
  });

  it("knows that more sequences, epochs and wider micro-batches cost memory and time", async () => {
    const base = (await plan("W2A16g64")).estimate;
    const made = async (batch: number): Promise<number> => {
      const options = { calibration: ["self-generated"], selfGenerated: { batch } };
      return (await plan("W2A16g64", options)).selfGenerated?.seconds ?? 0;
    };
    expect(await made(1)).toBeGreaterThan((await made(64)) * 10);
    expect((await plan("W2A16g64", { samples: 256 })).estimate.seconds).toBeGreaterThan(base.seconds * 1.5);
    expect((await plan("W2A16g64", { window: { epochs: 20 } })).estimate.seconds).toBeGreaterThan(base.seconds * 1.5);
    const narrow = (await plan("W2A16g64", { window: { microBatch: 1 } })).estimate;
    // What autograd keeps of seven sequences less, in two blocks: 40 hidden vectors a token at least.
    expect(base.deviceBytes - narrow.deviceBytes).toBeGreaterThan(7 * 512 * 40 * 256 * 4 * 0.8);
    const onDisk = await plan("W2A16g64", { streams: { storage: "disk" } });
    expect(onDisk.estimate.diskBytes - base.diskBytes).toBe(3 * 128 * 512 * 256 * 4);
    expect(onDisk.estimate.hostBytes).toBeLessThan(base.hostBytes);
  });

  it("counts a training step by the batch of the recipe, and passes without gradients by theirs", async () => {
    const bytes = async (microBatch: number | null, blockAp: UntypedOptions): Promise<number> =>
      (await plan("W4A16g64", { recipe: "efficient-qat", blockAp, window: { microBatch } })).estimate.deviceBytes;
    const [hidden, keys, inner, context] = [256, 128, 768, 512];
    // Inputs of a step and what they are held against.
    const [one, two] = [await bytes(1, { batch: 1 }), await bytes(1, { batch: 2 })];
    expect(two - one).toBe(2 * context * hidden * 4);
    // What autograd keeps of a sequence more, beside those: residual stream and norms, queries, keys and values, gate, up
    // and their product; and two of the MLP's width on the way back.
    const kept = 4 * hidden + 3 * hidden + 2 * keys + 3 * inner + 2 * inner;
    const [eight, sixteen] = [await bytes(null, { batch: 8 }), await bytes(null, { batch: 16 })];
    expect(sixteen - eight).toBe(8 * context * (kept + 2 * hidden) * 4);
    // 64 sequences pass a block without gradients, and a step has 2.
    const passed = 7 * hidden + 4 * hidden + 3 * keys + 3 * inner;
    const [half, whole] = [await bytes(32, { batch: 2 }), await bytes(64, { batch: 2 })];
    expect(whole - half).toBe(32 * context * passed * 4);
  });

  it("counts what GPTQ takes on a GPU", async () => {
    const extra = { recipe: "gptq", samples: 64, window: { microBatch: 8 }, compute: { dtype: "bfloat16" } };
    const { estimate } = await plan("W4A16g64", extra, "cuda:0", 2 ** 25);
    const [hidden, keys, inner, block] = [256, 128, 768, 6291456 / 8];
    // Input, norms, attention's output projected and added; queries as they come and turned, keys and values repeated,
    // attention's output twice; keys as they come and turned, values; gate, up and their product.
    const floats = 5 * hidden + 6 * hidden + 3 * keys + 3 * inner;
    const tokens = 8 * 512;
    const stream = 64 * 512 * hidden * 2;
    // Codes in fp32 and operands of a block that is done beside its weights; the squares of the widest inputs.
    expect(estimate.deviceBytes).toBe(
      2 ** 25 + stream + block * (2 + 4 + 2) + tokens * (floats * 2 + inner * 4) + inner ** 2 * 4,
    );
  });
});
