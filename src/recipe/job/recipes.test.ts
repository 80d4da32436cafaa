import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { OptionError } from "../../errors.js";
import { forwardBlock } from "../../network/decoder/block/forward-block.js";
import { tokenIds } from "../../network/decoder/token-ids.js";
import {
  blockOf,
  checkpointSource,
  Decoder,
  DecoderNetwork,
  type DecoderSpec,
  decoderUnits,
  loadUnit,
  RotaryTables,
  readSpec,
  type UnitPlan,
} from "../../network/index.js";
import { tinyModel, writeTinyModel } from "../../network/testing/tiny-models.js";
import { fromQuantizedWeight } from "../../quant/from-quantized-weight.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { keep, liveHandles, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { ExtremesObserver, foldOutliers } from "../../transform/cfp/fold-outliers.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";
import { tinyJob, tinyTokens } from "../testing/tiny-run.js";
import type { RecipeEvent, RecipeJob } from "./recipe-job.js";
import type { RecipeName } from "./recipe-names.js";
import { runRecipe } from "./run-recipe.js";

const CONTEXT = 24;
const SEQUENCES = 12;
const folder = temporaryFolder();
let checkpoint: Checkpoint;
let spec: DecoderSpec;

// A tiny network with random weights, so that rounding it is as hard as rounding a real one.
beforeAll(async () => {
  manualSeed(9);
  await writeTinyModel(folder.path, tinyModel("llama"), (name, values, shape) => {
    if (!name.includes("norm")) {
      scope(() => values.set(Tensor.randn([values.length]).mul(0.25).toFloat32Array()));
    }
    return shape;
  });
  checkpoint = await Checkpoint.open(folder.path);
  spec = readSpec(await readModelConfig(folder.path));
});

afterAll(() => {
  checkpoint.close();
  folder[Symbol.dispose]();
});

interface Outcome {
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  readonly plain: ReadonlyMap<string, Uint8Array>;
  readonly activations: ReadonlyMap<string, number>;
  readonly events: readonly RecipeEvent[];
}

function run(
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput = {},
  extra: Partial<Pick<RecipeJob, "checkpoint" | "tokens" | "storage" | "poll" | "dtype">> = {},
): Outcome {
  const network = { checkpoint, spec, network: new DecoderNetwork(spec), folder: folder.path };
  const { job, delivered } = tinyJob(network, recipe, scheme, options, {
    tokens: tinyTokens(spec, SEQUENCES, CONTEXT),
    storage: "auto",
    results: null,
    ...extra,
  });
  const events = [...runRecipe(job)];
  return { ...delivered, events };
}

/** Mean squared difference of the hidden states after the last block, weights only. */
function outputError({ weights }: Outcome): number {
  const full = checkpointSource(checkpoint, { device: "cpu", dtype: "float32" });
  using original = Decoder.load(full, spec);
  using quantized = Decoder.load((name, shape) => {
    const weight = weights.get(name.replace(/\.weight$/, ""));
    return weight === undefined ? full(name, shape) : keep(fromQuantizedWeight(weight, "cpu"));
  }, spec);
  return scope(() => {
    const input = tokenIds(spec, tinyTokens(spec, SEQUENCES, CONTEXT).ids, [SEQUENCES, CONTEXT], "cpu");
    const target = original.hidden(input);
    return quantized.hidden(input).sub(target).square().mean().div(target.square().mean()).item();
  });
}

function stepLosses({ events }: Outcome): number[] {
  return events.flatMap((event) => (event.event === "step" ? [event.loss] : []));
}

const quick = { window: { epochs: 20, batch: 4 }, rates: { rounding: 2e-2, scale: 1e-2 } } as const;

describe("recipes", () => {
  it("lose less in the order round to nearest, GPTQ, CBQ, and leave no tensor behind", () => {
    const before = liveHandles();
    const errors = (["rtn", "gptq", "cbq"] as const).map((recipe) => outputError(run(recipe, "W3A16g8", quick)));
    const [rtn, gptq, cbq] = errors as [number, number, number];
    expect(gptq).toBeLessThan(rtn);
    expect(cbq).toBeLessThan(gptq);
    expect(cbq).toBeLessThan(0.8 * rtn);
    expect(liveHandles()).toBe(before);
  });

  it.each(["lora", "adaround"] as const)("train the rounding %s too", (kind) => {
    const rtn = outputError(run("rtn", "W3A16g8"));
    const options = { ...quick, rounding: { kind, regulariser: { weight: 0.05 } } };
    expect(outputError(run("cbq", "W3A16g8", options))).toBeLessThan(rtn);
  });

  it.each([
    ["gptq", {}],
    ["cbq", { window: { epochs: 1, batch: 4, size: 1, overlap: 0 } }],
  ] as const)("announce a block's tensors before they open it: %s", (recipe, options) => {
    const announced = new Set<string>();
    const opened = new Map<string, boolean>();
    const reader: TensorReader = {
      folder: checkpoint.folder,
      tensors: checkpoint.tensors,
      read: (name) => checkpoint.read(name),
      readSync(name) {
        if (!opened.has(name)) opened.set(name, announced.has(name));
        return checkpoint.readSync(name);
      },
      willRead(names) {
        for (const name of names) announced.add(name);
      },
    };
    run(recipe, "W4A16g8", { ...options, finish: "none" }, { checkpoint: reader });
    // There is no time before the first one.
    const later = [...opened].filter(([name]) => Number(/layers\.(\d+)\./.exec(name)?.[1] ?? 0) > 0);
    expect(later.length).toBeGreaterThan(0);
    for (const [name, wasAnnounced] of later) expect([name, wasAnnounced]).toEqual([name, true]);
  });

  it("deliver every Linear once, with its loss before and after", () => {
    const { weights, events, plain } = run("cbq", "W4A16g8", { window: { epochs: 4, batch: 4, secondBranch: true } });
    expect(weights.size).toBe(spec.blocks.length * 7);
    expect(plain.size).toBe(0);
    const done = events.filter((event) => event.event === "window-done");
    expect(done.flatMap((event) => event.layers.map((layer) => layer.name)).sort()).toEqual([...weights.keys()].sort());
    for (const { lossBefore, lossAfter } of done) {
      expect(lossBefore?.fullPrecision).toBeGreaterThan(0);
      expect(lossBefore?.quantized).toBeGreaterThan(0);
      expect(lossAfter?.total).toBeLessThan((lossBefore?.total ?? 0) * 1.05);
    }
  });

  it.each(["token", "plain"] as const)("give the same codes wherever the streams wait, loss %s", (l2) => {
    const options: RecipeOptionsInput = { window: { epochs: 2, batch: 6, microBatch: 2, loss: { l2 } } };
    const device = run("cbq", "W3A16g8", options, { storage: "device" });
    for (const storage of ["host", "disk"] as const) {
      const elsewhere = run("cbq", "W3A16g8", options, { storage });
      expect(elsewhere.weights).toEqual(device.weights);
      expect(stepLosses(elsewhere)).toEqual(stepLosses(device));
    }
  });

  it.each(["token", "plain"] as const)(
    "take the same steps with another micro-batch, but for how sums are rounded, loss %s",
    (l2) => {
      const outcome = (microBatch: number): Outcome =>
        run("cbq", "W3A16g8", {
          window: { epochs: 2, batch: 6, microBatch, loss: { l2 } },
          rounding: { start: "rtn" },
        });
      const [whole, parts] = [outcome(6), outcome(2)];
      const losses = stepLosses(whole);
      expect(losses.length).toBeGreaterThan(0);
      expect(stepLosses(parts).length).toBe(losses.length);
      losses.forEach((loss, i) => {
        expect(Math.abs(loss - (stepLosses(parts)[i] as number)) / loss).toBeLessThan(1e-5);
      });
      let other = 0;
      let count = 0;
      for (const [name, { codes }] of whole.weights) {
        const codesThere = parts.weights.get(name)?.codes ?? new Uint8Array();
        other += codes.filter((code, i) => code !== codesThere[i]).length;
        count += codes.length;
      }
      expect(other / count).toBeLessThan(0.001);
    },
  );

  it("quantize activations per token and per tensor, and learn their clips", () => {
    for (const granularity of ["token", "tensor"] as const) {
      const learnt = run("cbq", "W4A4", { window: { epochs: 6, batch: 4 }, activation: { granularity } });
      expect(learnt.activations.size).toBe(spec.blocks.length * 7);
      const fixed = run("rtn", "W4A4", { activation: { granularity } });
      expect(fixed.activations.size).toBe(spec.blocks.length * 7);
      const moved = [...learnt.activations].filter(([name, value]) => value !== fixed.activations.get(name));
      expect(moved.length).toBeGreaterThan(spec.blocks.length * 4);
    }
  });

  it("follow overrides by layer name", () => {
    const { weights } = run("rtn", "W4A16g8", {
      overrides: [
        { pattern: "*.down_proj", bits: 8, group: "channel" },
        { pattern: "model.layers.0.*", skip: true },
      ],
    });
    expect(weights.size).toBe((spec.blocks.length - 1) * 7);
    const down = weights.get(`model.layers.${spec.blocks.length - 1}.mlp.down_proj`);
    expect([down?.bits, down?.perChannel]).toEqual([8, true]);
    expect(() => run("rtn", "W4A16g8", { overrides: [{ pattern: "*.nothing", bits: 8 }] })).toThrow(OptionError);
  });

  it("stop where poll throws, and leave no tensor behind", () => {
    const before = liveHandles();
    let polls = 0;
    const poll = (): void => {
      if (++polls > 20) throw new RangeError("stopped");
    };
    expect(() => run("cbq", "W4A16g8", quick, { poll })).toThrow("stopped");
    expect(liveHandles()).toBe(before);
  });

  it("refuse what does not go together", () => {
    expect(() => run("gptq", "W4A16g8", {}, { tokens: null })).toThrow(/calibration/);
    expect(() => run("cbq", "W4A16g8", { rounding: { kind: "lora", start: "gptq" } })).toThrow(/rounding\.kind=code/);
    expect(() => run("rtn", "W4A16g24")).toThrow(/do not divide/);
  });
});

describe("CFP", () => {
  it.each(["paper", "msmodelslim"] as const)(
    "folds outliers (%s) without changing what a block computes",
    (detection) => {
      const before = liveHandles();
      scope(() => {
        const [unit] = decoderUnits(spec) as [UnitPlan];
        const block = loadUnit(checkpointSource(checkpoint, { device: "cpu", dtype: "float32" }), unit);
        const rotary = RotaryTables.create(spec, CONTEXT, "cpu");
        // Outliers that training left: a few gains and rows far above the others.
        for (const norm of ["attentionNorm", "mlpNorm"] as const)
          block.norms.get(norm)?.weight.narrow(0, 3, 2).mul_(40);
        block.layers.get("up")?.weight.narrow(0, 5, 1).mul_(30);
        block.layers.get("v")?.weight.narrow(0, 2, 1).mul_(30);
        manualSeed(0);
        const x = Tensor.randn([2, CONTEXT, spec.hiddenSize]);
        const observer = new ExtremesObserver(unit);
        const output = (observe: boolean): Tensor =>
          noGrad(() =>
            forwardBlock(blockOf(spec, 0), block, x, {
              rotary,
              observe: (layer, input) => {
                if (observe) observer.observe(layer, input);
              },
            }),
          );
        const target = output(true);
        const options = { detection, exponent: 0.5, lambda1: 1.5, lambda2: 1, storedType: "float32" } as const;
        const folded = foldOutliers(block, observer.extremes, options);
        expect(folded.length).toBeGreaterThanOrEqual(3);
        const difference = output(false).sub(target).abs().amax().div(target.abs().amax()).item();
        expect(difference).toBeLessThan(1e-5);
        observer.dispose();
        rotary?.dispose();
        block.dispose();
      });
      expect(liveHandles()).toBe(before);
    },
  );

  it("finds other outliers of weights by the rule msmodelslim: other codes", () => {
    const codes = (cfp: RecipeOptionsInput["cfp"]): number[] =>
      [...run("cbq", "W3A16g8", { window: { epochs: 0 }, cfp }).weights.values()].flatMap(({ codes }) => [...codes]);
    const without = codes({ weights: false });
    const [paper, huawei] = [codes({ weights: true }), codes({ weights: true, detection: "msmodelslim" })];
    const others = (a: number[], b: number[]): number => a.filter((code, i) => code !== b[i]).length;
    expect(others(paper, huawei)).toBeGreaterThan(0);
    expect(others(without, huawei)).toBeGreaterThan(0);
  });

  it("delivers the norms that it changed in their stored shape, beside every Linear", () => {
    const { plain, weights } = run("cbq", "W4A8g8", {
      window: { epochs: 2, batch: 4 },
      // Random weights have no outliers to speak of: some channels count as such from here on.
      cfp: { weights: true, activations: true, lambda1: 0.1 },
    });
    expect(weights.size).toBe(spec.blocks.length * 7);
    expect(plain.size).toBeGreaterThan(0);
    for (const [name, bytes] of plain) {
      expect(name).toMatch(/norm\.weight$/);
      expect(bytes.byteLength).toBe(spec.hiddenSize * 4);
    }
  });
});
