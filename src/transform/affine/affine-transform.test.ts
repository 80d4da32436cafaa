import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import {
  checkpointSource,
  DecoderNetwork,
  linearOf,
  loadUnit,
  type OwnedUnitWeights,
  readSpec,
  type UnitPlan,
  type UnitWeights,
} from "../../network/index.js";
import { tinyModel, writeTinyModel } from "../../network/testing/tiny-models.js";
import { type DType, liveHandles, manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { ExtremesObserver } from "../cfp/fold-outliers.js";
import { affineParameters } from "./affine-parameters.js";
import { type AffineOptions, AffineTransform } from "./affine-transform.js";
import { isDominant } from "./gradual-mask.js";
import { HeadMatrices } from "./head-matrices.js";
import { MatrixModel } from "./matrix-model.js";

const [BATCH, TIME] = [2, 12];
const options: AffineOptions = {
  ...{ alpha: 0.3, exponent: 0.5, shift: true, queryKey: true, down: true, norms: "diagonal" },
  storedType: "float32",
};

/** A tiny model of a family with random weights and a few outliers. */
interface Opened extends Disposable {
  readonly unit: UnitPlan;
  readonly weights: OwnedUnitWeights;
  /** What the unit computes with these weights; `observe` sees the inputs of Linears. */
  readonly run: (weights: UnitWeights, observe?: (layer: string, input: Tensor) => void) => Tensor;
}

/** @param matrices whether matrices stand behind its norms */
async function open(family: string, matrices = false): Promise<Opened> {
  const folder = temporaryFolder();
  manualSeed(61);
  await writeTinyModel(folder.path, tinyModel(family), (name, values, shape) => {
    scope(() => {
      const random = Tensor.randn([values.length]).mul(0.3);
      values.set((name.includes("norm") && name.endsWith("weight") ? random.add(1) : random).toFloat32Array());
    });
    return shape;
  });
  const checkpoint = await Checkpoint.open(folder.path);
  const plain = readSpec(await readModelConfig(folder.path));
  const model = matrices ? new MatrixModel(checkpoint, plain) : null;
  const spec = model?.spec ?? plain;
  const network = new DecoderNetwork(spec);
  const [unit] = network.units as readonly [UnitPlan];
  const opened = network.open({ device: "cpu", dtype: "float32", length: TIME });
  const weights = loadUnit(checkpointSource(model ?? checkpoint, { device: "cpu", dtype: "float32" }), unit);
  scope(() => {
    weights.norms.get("attentionNorm")?.weight.narrow(0, 2, 1).mul_(30);
    linearOf(weights, "v").weight.narrow(0, 1, 1).mul_(20);
  });
  manualSeed(62);
  const x = Tensor.randn([BATCH, TIME, spec.hiddenSize]);
  return {
    unit,
    weights,
    run: (of, observe) =>
      noGrad(() => opened.run(unit, of, { x }, observe === undefined ? {} : { observe })["x"] as Tensor),
    [Symbol.dispose]: () => {
      x.dispose();
      weights.dispose();
      opened[Symbol.dispose]();
      checkpoint.close();
      folder[Symbol.dispose]();
    },
  };
}

function transformOf({ unit, weights, run }: Opened, more: Partial<AffineOptions> = {}): AffineTransform {
  const observer = new ExtremesObserver(unit);
  scope(() => void run(weights, (layer, input) => observer.observe(layer, input)));
  try {
    return new AffineTransform(unit, weights, observer.extremes, () => true, { ...options, ...more });
  } finally {
    observer.dispose();
  }
}

/** Anything but the identity, everywhere. */
function disturb(transform: AffineTransform, size: number): void {
  noGrad(() => {
    for (const { tensor } of transform.parameters) scope(() => tensor.add_(Tensor.randn(tensor.shape).mul(size)));
  });
}

function transformed({ weights }: Opened, transform: AffineTransform): UnitWeights {
  const weightOf = (name: string): Tensor => linearOf(weights, name).weight;
  const { norms, biases, matrices } = transform.vectors(weightOf);
  return {
    ...weights,
    norms: new Map(
      [...weights.norms, ...norms].map(([name, norm]) => {
        const matrix = matrices?.get(name);
        return [name, matrix === undefined ? norm : { ...norm, matrix }] as const;
      }),
    ),
    layers: new Map(
      [...weights.layers].map(([name, { weight, bias }]) => [
        name,
        { weight: transform.weight(name, weight), bias: biases.get(name) ?? bias },
      ]),
    ),
  };
}

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item() / b.abs().amax().item();
}

let handles = 0;
beforeEach(() => {
  handles = liveHandles();
});
afterEach(() => expect(liveHandles()).toBe(handles));

describe.each(["opt", "llama", "qwen2", "qwen3"])("AffineQuant's transforms of %s", (family) => {
  it.each(["diagonal", "matrix"] as const)(
    "leave what the unit computes as it is, whatever they have learnt: %s",
    async (norms) => {
      using opened = await open(family, norms === "matrix");
      scope(() => {
        const before = opened.run(opened.weights);
        using transform = disposing(transformOf(opened, { norms }));
        // The scales that training begins with are folded at once.
        expect(difference(opened.run(opened.weights), before)).toBeLessThan(1e-5);
        expect(difference(opened.run(transformed(opened, transform.it)), before)).toBeLessThan(1e-5);
        manualSeed(63);
        disturb(transform.it, 0.05);
        for (const epoch of [0, 2, 4]) {
          transform.it.enterEpoch(epoch, 5);
          const weights = transformed(opened, transform.it);
          expect(difference(opened.run(weights), before)).toBeLessThan(1e-5);
          expect(difference(linearOf(weights, "o").weight, linearOf(opened.weights, "o").weight)).toBeGreaterThan(0.01);
          for (const norm of ["attentionNorm", "mlpNorm"]) {
            const matrix = weights.norms.get(norm)?.matrix;
            expect(matrix === undefined).toBe(norms === "diagonal");
            if (matrix === undefined) continue;
            expect(isDominant(matrix)).toBe(true);
            const mixes = matrix.triu(1).abs().amax().item();
            if (epoch === 0) expect(mixes).toBe(0);
            else expect(mixes).toBeGreaterThan(1e-3);
          }
        }
        transform.it.reset();
        for (const [name, { weight }] of transformed(opened, transform.it).layers) {
          expect([name, difference(weight, linearOf(opened.weights, name).weight)]).toEqual([
            name,
            expect.closeTo(0, 6),
          ]);
        }
      });
    },
  );

  it("train as many numbers as are counted without them", async () => {
    using opened = await open(family, true);
    const matrix = { norms: "matrix" } as const;
    for (const more of [
      {},
      { alpha: 0 },
      { down: false, queryKey: false },
      { shift: false },
      matrix,
      { ...matrix, alpha: 0 },
    ]) {
      using transform = disposing(transformOf(opened, more));
      const trained = transform.it.parameters.reduce((sum, { tensor }) => sum + tensor.numel, 0);
      expect(affineParameters(opened.unit, { ...options, ...more })).toBe(trained);
      expect(new Set(transform.it.parameters.map(({ name }) => name)).size).toBe(transform.it.parameters.length);
    }
  });
});

describe("under rotary positions", () => {
  it("queries and keys change by what keeps their scores alone", async () => {
    using opened = await open("llama");
    scope(() => {
      const before = opened.run(opened.weights);
      const { heads, kvHeads, headDim } = opened.unit.attention as NonNullable<UnitPlan["attention"]>;
      const free = new HeadMatrices({
        owner: "free",
        uses: [
          { linear: "q", side: "rows", by: "inverse", times: heads / kvHeads },
          { linear: "k", side: "rows", by: "matrix", times: 1 },
        ],
        ...{ groups: kvHeads, width: headDim, form: "any", alpha: 0, device: "cpu" },
      });
      const { tensor } = free.parameters[0] as { tensor: Tensor };
      noGrad(() => tensor.narrow(1, 0, 1).mul_(1.5));
      const changed = (part: HeadMatrices): UnitWeights => ({
        ...opened.weights,
        layers: new Map(
          [...opened.weights.layers].map(([name, linear]) => [
            name,
            { ...linear, weight: part.weight(name, linear.weight) },
          ]),
        ),
      });
      // A scale of one channel of a pair, as released code has it.
      expect(difference(opened.run(changed(free)), before)).toBeGreaterThan(1e-3);
      noGrad(() => tensor.narrow(1, headDim / 2, 1).mul_(1.5));
      expect(difference(opened.run(changed(free)), before)).toBeLessThan(1e-5);
      free.dispose();
    });
  });

  it("nothing is trained of heads that pass a norm", async () => {
    using opened = await open("qwen3");
    using transform = disposing(transformOf(opened));
    expect(transform.it.linears).toContain("v");
    expect(transform.it.parameters.some(({ name }) => name.includes("q_proj"))).toBe(false);
  });
});

it("gains and shifts that are stored in bf16 are made up for by what reads them", async () => {
  const change = async (storedType: DType): Promise<number> => {
    using opened = await open("opt");
    return scope(() => {
      using transform = disposing(transformOf(opened, { storedType }));
      const before = opened.run(opened.weights);
      manualSeed(67);
      disturb(transform.it, 0.05);
      transform.it.enterEpoch(4, 5);
      const weights = transformed(opened, transform.it);
      const norm = weights.norms.get("attentionNorm");
      for (const tensor of [norm?.weight, norm?.bias, linearOf(weights, "q").bias]) {
        const rounded = difference(tensor?.to("bfloat16").to("float32") as Tensor, tensor as Tensor);
        expect(rounded > 0).toBe(storedType === "float32");
      }
      return difference(opened.run(weights), before);
    });
  };
  expect(await change("float32")).toBeLessThan(1e-5);
  // Biases alone are rounded: 2^-9 of them at most.
  expect(await change("bfloat16")).toBeLessThan(4e-3);
});

function disposing<T extends { dispose(): void }>(it: T): { readonly it: T } & Disposable {
  return { it, [Symbol.dispose]: () => it.dispose() };
}
