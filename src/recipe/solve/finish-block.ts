import type { PortStore, Ports } from "../../calibration/port-store.js";
import { linearOf, multiplied } from "../../network/index.js";
import { KeyedQuantizer } from "../../quant/input/keyed.js";
import { toQuantizedWeight } from "../../quant/to-quantized-weight.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { InputObserver, QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { readNeeded } from "../../reconstruct/training/window-ports.js";
import { noGrad, scope } from "../../tensor/index.js";
import { measuredSequences } from "../job/measured-sequences.js";
import type { LayerError, RecipeJob } from "../job/recipe-job.js";
import { deliverPlain, storedType } from "./deliver-plain.js";

/** Hands the codes and activation ranges of a hardened block to the run. */
export function deliverBlock(job: RecipeJob, block: QuantizedUnit): void {
  for (const layer of block.layers.values()) {
    job.sink.linear(layer.name, toQuantizedWeight(layer.codes, layer.scheme.groupSize === null));
    deliverInput(job.sink, layer, job.scheme.activationBits);
  }
  for (const { name, tensor } of block.changed) deliverPlain(job, name, tensor);
}

/** Hands over how the input of a Linear is quantized, where it is; `usual` are the bits of most. */
export function deliverInput(
  sink: Pick<RecipeJob["sink"], "activation" | "inputGrid">,
  { name, activation, scheme }: QuantizedLayer,
  usual = scheme.activationBits,
): void {
  if (activation === null) return;
  if (activation instanceof KeyedQuantizer) {
    if (sink.inputGrid === undefined) throw new TypeError(`nobody keeps the ranges of the input of ${name}`);
    sink.inputGrid(name, activation.grid);
    return;
  }
  const own = scheme.activationBits === usual ? [] : [scheme.activationBits];
  sink.activation(name, activation.value(), activation.zeroPoint?.(), ...own);
}

/**
 * Fixes what training changed of a block, as it is stored: its norms, its transform, and the codes of its Linears where they
 * can be taken; codes that come from elsewhere are for weights that no training changed.
 */
export function hardenBlock(job: RecipeJob, block: QuantizedUnit, solved: boolean): void {
  if (!solved) block.transform?.reset();
  for (const layer of solved ? block.trained : []) layer.harden();
  block.foldTransform(job.dtype);
  block.norms?.harden((name) => storedType(job, name));
}

/** Relative squared error of every quantized Linear's output on its own inputs in the quantized stream. */
export function measureLayers(block: QuantizedUnit, input: PortStore): LayerError[] {
  const sums = new Map<string, { error: number; full: number }>();
  let ports: Ports = {};
  const observe: InputObserver = (name, x, { product }, groups) => {
    const layer = block.layers.get(name);
    if (layer === undefined) return;
    scope(() => {
      const linear = { ...linearOf(block.weights, name), bias: null, ...(product !== undefined && { product }) };
      const full = multiplied(x, linear.weight, linear, groups);
      const error = layer.apply(x, linear, groups, ports).sub(full);
      const sum = sums.get(name) ?? { error: 0, full: 0 };
      sum.error += error.to("float32").square().sum().item();
      sum.full += full.to("float32").square().sum().item();
      sums.set(name, sum);
    });
  };
  noGrad(() => {
    for (let i = 0; i < measuredSequences(input); i++) {
      scope(() => {
        ports = readNeeded(input, [block], [i]);
        block.forwardQuantized(ports, observe);
      });
    }
  });
  const tokens = block.expertTokens;
  return [...sums].map(([name, { error, full }]) => ({
    name: block.layers.get(name)?.name ?? name,
    relativeError: error / Math.max(full, 1e-30),
    ...(tokens !== null && (block.layers.get(name)?.experts ?? 1) > 1 && { tokens }),
  }));
}
