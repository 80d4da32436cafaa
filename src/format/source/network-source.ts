import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { readView, type StoredView, takeRows } from "../../network/index.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import type { FolderViews } from "./stored-source.js";

/**
 * What a model folder holds, by the tensors of its network: the way back of `storedSource`. What is stored as the network has it
 * stays, and so does everything in a folder that stores nothing else.
 */
export function networkSource<S extends ExportSource>(stored: S, { plain, coded }: FolderViews): S {
  const linears = new Map(stored.linears);
  const tensors = new Map(stored.plain);
  const modules = new Map<string, StoredView>();
  const read = new Map<string, StoredView>();
  for (const [name, view] of coded) {
    const module = moduleOf(name);
    const layouts = view.from.map((from) => stored.linears.get(moduleOf(from)));
    const [first] = layouts;
    if (!name.endsWith(".weight") || first === undefined || !layouts.every((layout) => isSame(layout, first))) continue;
    for (const from of view.from) linears.delete(moduleOf(from));
    linears.set(module, { ...first, rows: view.shape[0] ?? 0 });
    modules.set(module, view);
  }
  for (const views of [coded, plain]) {
    for (const [name, view] of views) {
      const infos = view.from.map((from) => stored.plain.get(from));
      const [first] = infos;
      if (first === undefined || read.has(name) || infos.includes(undefined)) continue;
      for (const from of view.from) tensors.delete(from);
      tensors.set(name, viewInfo(name, view, first));
      read.set(name, view);
    }
  }
  if (modules.size === 0 && read.size === 0) return stored;
  const last = new LastWeights(stored);
  return {
    ...stored,
    linears,
    plain: tensors,
    inputScales: new Map([
      ...stored.inputScales,
      ...[...modules].flatMap(([module, { from }]) => {
        const scale = stored.inputScales.get(moduleOf(from[0] ?? ""));
        return scale === undefined ? [] : [[module, scale] as const];
      }),
    ]),
    readPacked: undefined,
    async readQuantized(module: string) {
      const view = modules.get(module);
      const layout = linears.get(module);
      if (view === undefined || layout === undefined) return stored.readQuantized(module);
      return splitWeight(layout, view, (name) => last.read(moduleOf(name)));
    },
    async readPlain(name: string) {
      const view = read.get(name);
      if (view === undefined) return stored.readPlain(name);
      const bytes = new Map<string, Uint8Array>();
      for (const from of view.from) bytes.set(from, await stored.readPlain(from));
      const info = stored.plain.get(view.from[0] ?? "") as TensorInfo;
      return readView(view, elementSizeOf(info), (from) => bytes.get(from) as Uint8Array);
    },
  };
}

function moduleOf(tensor: string): string {
  return tensor.slice(0, tensor.lastIndexOf("."));
}

const keys = ["bits", "groupSize", "perChannel", "symmetric", "rows", "columns"] as const;

// Codes of experts that differ in their scheme, as other tools write them, are no one tensor.
function isSame(layout: QuantizedLayout | undefined, first: QuantizedLayout): boolean {
  return (
    layout !== undefined &&
    keys.every((key) => layout[key] === first[key]) &&
    layout.groupBits?.join() === first.groupBits?.join()
  );
}

function viewInfo(name: string, { shape }: StoredView, first: TensorInfo): TensorInfo {
  return { ...first, name, shape, byteLength: shape.reduce((size, each) => size * each, elementSizeOf(first)) };
}

function elementSizeOf({ byteLength, shape }: TensorInfo): number {
  return byteLength / shape.reduce((product, size) => product * size, 1);
}

async function splitWeight(
  layout: QuantizedLayout,
  view: StoredView,
  read: (name: string) => Promise<QuantizedWeight>,
): Promise<QuantizedWeight> {
  const { rows, columns, groupSize } = layout;
  const groups = columns / groupSize;
  const codes = new Uint8Array(rows * columns);
  const scales = new Float32Array(rows * groups);
  const zeroPoints = new Uint8Array(rows * groups);
  const scaleBytes = new Uint8Array(scales.buffer);
  for (const [i, name] of view.from.entries()) {
    const weight = await read(name);
    takeRows(view, i, weight.codes, columns, codes);
    const { buffer, byteOffset, byteLength } = weight.scales;
    takeRows(view, i, new Uint8Array(buffer, byteOffset, byteLength), groups * 4, scaleBytes);
    takeRows(view, i, weight.zeroPoints, groups, zeroPoints);
  }
  return { ...layout, codes, scales, zeroPoints };
}

/** The weight that was read last: several Linears of the network may be parts of it. */
class LastWeights {
  #last: { readonly module: string; readonly weight: Promise<QuantizedWeight> } | null = null;

  constructor(private readonly stored: ExportSource) {}

  read(module: string): Promise<QuantizedWeight> {
    if (this.#last?.module !== module) this.#last = { module, weight: this.stored.readQuantized(module) };
    return this.#last.weight;
  }
}
