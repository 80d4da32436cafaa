import type { Ports } from "../../calibration/port-store.js";
import { checkpointSource } from "../../network/index.js";
import { roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { keep, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { RecipeEvent, RecipeJob } from "../job/recipe-job.js";
import { candidatesOf } from "../options/shared/range.js";
import { UnitSource } from "../state/unit-source.js";

/** What single layers, and layers of a block together, lose at some bits: nats of the network's output, an example. */
export interface BitCosts {
  /** By module and bits, with that layer alone quantized. */
  readonly single: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Of layers of one block that have the fewest bits together, by their modules in order, joined with a space. */
  readonly together: ReadonlyMap<string, number>;
  /** Modules of the layers of each block, in order. */
  readonly blocks: readonly (readonly string[])[];
  /** Multiply-adds of an example, by module. */
  readonly multiplyAdds: ReadonlyMap<string, number>;
}

/** Layers of a block up to which all sets of them are measured; of more the pairs. */
const ALL_SETS = 4;

/** Examples of a measurement at most. */
const EXAMPLES = 64;

/**
 * Measures what bits are worth to each layer: `KL(p || p')` of the network's output with this layer rounded to nearest and all
 * others in full precision; and once more for every set of layers of a block at the fewest bits, whose errors meet in the block's
 * output. The paper measures a block's own loss in the place of the output's.
 * Source: BRECQ (arXiv 2102.05426), section 3.4.
 */
export function* bitCosts(
  job: RecipeJob,
  widthsOf: (module: string) => readonly number[],
): Generator<RecipeEvent, BitCosts> {
  const { network, checkpoint, device, dtype, tokens } = job;
  if (tokens === null) throw new TypeError("what bits are worth needs calibration examples");
  const total = network.units.length;
  const single = new Map<string, ReadonlyMap<number, number>>();
  const together = new Map<string, number>();
  const multiplyAdds = new Map<string, number>();
  const units: QuantizedUnit[] = [];
  const kept: Tensor[] = [];
  const source = new UnitSource(job, tokens.context);
  const end = network.end(checkpointSource(checkpoint, { device, dtype }));
  const start = network.begin(checkpointSource(checkpoint, { device, dtype }));
  try {
    for (let k = 0; k < total; k++) {
      const unit = source.open(k, false);
      units.push(unit);
      unit.castWeights(dtype);
    }
    const count = Math.min(EXAMPLES, tokens.sequences);
    const logarithms = (x: Ports): Tensor => {
      const output = x[end.port] as Tensor;
      return end
        .head(output.reshape([-1, output.size(-1)]))
        .to("float32")
        .logSoftmax(-1);
    };
    // What every unit is given, and what the network gives, in full precision.
    const given: Ports[] = [];
    const expected = noGrad(() =>
      scope(() => {
        let x = start.run(tokens.ids.subarray(0, count * tokens.context), [count, tokens.context]);
        for (const unit of units) {
          const ports = Object.fromEntries(Object.entries(x).map(([name, port]) => [name, keep(port.to(device))]));
          kept.push(...Object.values(ports));
          given.push(ports);
          x = countingForward(unit, ports, count, multiplyAdds);
        }
        return keep(logarithms(x));
      }),
    );
    kept.push(expected);
    const lost = (k: number): number => {
      job.poll();
      return noGrad(() =>
        scope(() => {
          let x = units[k]?.forwardQuantized(given[k] as Ports) as Ports;
          for (const unit of units.slice(k + 1)) x = scope(() => unit.forwardFull(x));
          return expected
            .exp()
            .mul(expected.sub(logarithms(x)))
            .sum()
            .div(count)
            .item();
        }),
      );
    };
    for (const [k, unit] of units.entries()) {
      yield { event: "progress", stage: "what bits are worth", done: k + 1, total };
      const names = [...unit.layers.keys()];
      const fewest = new Map<string, number>();
      for (const name of names) {
        const { name: module } = unit.layers.get(name) ?? { name };
        const losses = new Map<number, number>();
        for (const bits of widthsOf(module)) {
          losses.set(
            bits,
            withRounded(job, unit, new Map([[name, bits]]), () => lost(k)),
          );
        }
        single.set(module, losses);
        fewest.set(name, Math.min(...widthsOf(module)));
      }
      const open = names.filter((name) => widthsOf(unit.layers.get(name)?.name ?? name).length > 1);
      for (const set of setsOf(open)) {
        const bits = new Map(set.map((name) => [name, fewest.get(name) as number]));
        const key = set.map((name) => unit.layers.get(name)?.name ?? name).join(" ");
        together.set(
          key,
          withRounded(job, unit, bits, () => lost(k)),
        );
      }
    }
    const blocks = units.map((unit) => [...unit.layers.values()].map(({ name }) => name));
    return { single, together, blocks, multiplyAdds };
  } finally {
    for (const tensor of kept) tensor.dispose();
    for (const unit of units) unit.dispose();
    start.dispose();
    end.dispose();
    source.dispose();
  }
}

/** The unit in full precision; counts the multiply-adds of its layers by the positions that they give. */
function countingForward(unit: QuantizedUnit, x: Ports, examples: number, multiplyAdds: Map<string, number>): Ports {
  return unit.forwardFull(x, (name, input, linear, groups) => {
    const layer = unit.layers.get(name);
    if (layer === undefined) return;
    scope(() => {
      const output = layer.apply(input, linear, groups);
      const { weight } = linear;
      multiplyAdds.set(layer.name, (output.numel / examples) * weight.size(1));
    });
  });
}

/** What `measure` gives with some layers of a unit rounded to nearest at these bits; then they are as before. */
function withRounded<T>(
  { options }: Pick<RecipeJob, "options">,
  unit: QuantizedUnit,
  bits: ReadonlyMap<string, number>,
  measure: () => T,
): T {
  const layers = [...bits].map(([name, width]) => ({ name, width, layer: unit.layers.get(name) }));
  try {
    for (const { name, width, layer } of layers) {
      noGrad(() =>
        scope(() => {
          const weight = unit.exactWeight(name).to("float32");
          const scheme = { ...(layer?.scheme as NonNullable<typeof layer>["scheme"]), bits: width };
          const grid = searchRange(weight, scheme, name, { candidates: candidatesOf(options.range) });
          layer?.harden(roundToNearest(weight, grid));
        }),
      );
    }
    return measure();
  } finally {
    for (const { layer } of layers) layer?.soften();
  }
}

/** Sets of two or more of these: all of them, of many the pairs. */
function setsOf(names: readonly string[]): readonly (readonly string[])[] {
  if (names.length > ALL_SETS) {
    return names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b]));
  }
  return Array.from({ length: 2 ** names.length }, (_, mask) => names.filter((_, i) => (mask >> i) % 2 === 1)).filter(
    (set) => set.length > 1,
  );
}
