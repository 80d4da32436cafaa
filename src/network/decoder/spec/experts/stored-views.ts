import type { StoredView, StoredViews } from "../../../stored/stored-view.js";
import type { LayerPlan, UnitPlan } from "../../../unit.js";
import { decoderUnits } from "../../decoder-units.js";
import type { DecoderSpec, FusedLinears } from "../decoder-spec.js";
import { blockOf, inBlock } from "../decoder-spec.js";
import type { ExpertsSpec, StoredExperts } from "./experts-spec.js";

/**
 * The tensors of a network that its checkpoint does not store as they are: parts of fused Linears, stacks of experts, matrices with
 * swapped dimensions.
 *
 * @param has whether the checkpoint has a tensor of this name, and where two forms share their names, of this shape; of several
 *   forms the first that it has counts
 */
export function storedViews(
  spec: DecoderSpec,
  has: (tensor: string, shape?: readonly number[]) => boolean,
): StoredViews {
  const names = (spec.stored.experts?.forms ?? []).map((form) => (form.kind === "stacked" ? form.gateUp : form.gate));
  const shared = new Set(names).size < names.length;
  return viewsOf(
    spec,
    (view) => view.from.every((name) => has(name, shared ? view.storedShape : undefined)),
    storedForms,
    (role) => spec.stored.transposed.some((r) => r === role),
  );
}

/**
 * The same for Linears that are quantized, in a model folder: fused as in the checkpoint, of experts one module for each Linear of
 * each expert, whatever the checkpoint has, and codes always `[out, in]`.
 */
export function codedViews(spec: DecoderSpec): StoredViews {
  return viewsOf(
    spec,
    () => true,
    (form) => [form.each],
    () => false,
  );
}

type Forms = (stored: NonNullable<DecoderSpec["stored"]["experts"]>) => readonly StoredExperts[];

// Biases of experts that are quantized lie beside their codes, whatever form the weights had.
const storedForms: Forms = ({ forms, each }) => [...forms, each];

function viewsOf(
  spec: DecoderSpec,
  exists: (view: StoredView) => boolean,
  forms: Forms,
  isTransposed: (role: string) => boolean,
): StoredViews {
  const views = new Map<string, StoredView>();
  const add = (name: string, view: StoredView): void => {
    if (exists(view)) views.set(name, view);
  };
  for (const unit of decoderUnits(spec)) {
    for (const fused of spec.stored.fused) addFused(spec, unit, fused, isTransposed, add);
    const fusedParts = new Set<string>(spec.stored.fused.flatMap(({ parts }) => parts));
    for (const layer of unit.layers) {
      if (!fusedParts.has(layer.name) && isTransposed(layer.name)) addTransposed(layer, add);
    }
    const { mlp } = blockOf(spec, unit.index);
    if (mlp.kind === "experts" && spec.stored.experts !== null) {
      for (const form of [...forms(spec.stored.experts)].reverse()) addExperts(spec, unit, mlp, form, add);
    }
  }
  return views;
}

type Add = (name: string, view: StoredView) => void;

function addFused(
  spec: DecoderSpec,
  unit: UnitPlan,
  { module, parts, order }: FusedLinears,
  isTransposed: (role: string) => boolean,
  add: Add,
): void {
  const layers = parts.flatMap((role) => unit.layers.filter(({ name }) => name === role));
  const [first] = layers;
  if (first === undefined || layers.length !== parts.length) return;
  const { attention } = blockOf(spec, unit.index);
  const times = order === "heads" && attention.kind === "softmax" ? attention.kvHeads : 1;
  const rows = layers.reduce((sum, layer) => sum + layer.rows, 0);
  const stored = inBlock(spec.names, unit.index, module);
  const transposed = isTransposed(first.name);
  let before = 0;
  for (const layer of layers) {
    const part = { period: rows / times, first: before / times, count: layer.rows / times } as const;
    add(`${layer.module}.weight`, {
      ...part,
      shape: [layer.rows, layer.columns],
      from: [`${stored}.weight`],
      storedShape: transposed ? [layer.columns, rows] : [rows, layer.columns],
      transposed,
    });
    add(`${layer.module}.bias`, {
      ...part,
      shape: [layer.rows],
      from: [`${stored}.bias`],
      storedShape: [rows],
      transposed: false,
    });
    before += layer.rows;
  }
}

function addTransposed({ module, rows, columns }: LayerPlan, add: Add): void {
  const from = [`${module}.weight`];
  const whole = { period: rows, first: 0, count: rows } as const;
  add(`${module}.weight`, { ...whole, shape: [rows, columns], from, storedShape: [columns, rows], transposed: true });
}

function addExperts(spec: DecoderSpec, unit: UnitPlan, experts: ExpertsSpec, form: StoredExperts, add: Add): void {
  const { count, width } = experts;
  const hidden = spec.hiddenSize;
  const module = (role: string): string => unit.layers.find(({ name }) => name === role)?.module ?? role;
  const full = (name: string): string => inBlock(spec.names, unit.index, name);
  const linears = [
    { role: "expertGate", rows: width, columns: hidden },
    { role: "expertUp", rows: width, columns: hidden },
    { role: "expertDown", rows: hidden, columns: width },
  ] as const;
  if (form.kind === "each") {
    const names = { expertGate: form.gate, expertUp: form.up, expertDown: form.down };
    for (const { role, rows, columns } of linears) {
      const each = (part: string): string[] =>
        Array.from({ length: count }, (_, e) => `${full(names[role].replace("{expert}", String(e)))}.${part}`);
      const whole = { transposed: false, period: rows, first: 0, count: rows } as const;
      const [weight, bias] = [each("weight"), each("bias")];
      add(`${module(role)}.weight`, {
        ...whole,
        shape: [count * rows, columns],
        from: weight,
        storedShape: [rows, columns],
      });
      add(`${module(role)}.bias`, { ...whole, shape: [count * rows], from: bias, storedShape: [rows] });
    }
    return;
  }
  const { transposed, biases } = form;
  const pairs = form.rows === "pairs";
  for (const { role, rows, columns } of linears) {
    const down = role === "expertDown";
    const period = down ? hidden : pairs ? 2 : 2 * width;
    const run = down ? hidden : pairs ? 1 : width;
    const part = { period, first: role === "expertUp" ? run : 0, count: run } as const;
    const storedRows = down ? hidden : 2 * width;
    add(`${module(role)}.weight`, {
      ...part,
      shape: [count * rows, columns],
      from: [full(down ? form.down : form.gateUp)],
      storedShape: transposed ? [count, columns, storedRows] : [count, storedRows, columns],
      transposed,
    });
    if (biases === undefined) continue;
    add(`${module(role)}.bias`, {
      ...part,
      shape: [count * rows],
      from: [full(down ? biases.down : biases.gateUp)],
      storedShape: [count, storedRows],
      transposed: false,
    });
  }
}
