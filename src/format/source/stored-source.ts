import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { joinRows, rowsEach, type StoredView, type StoredViews, writeStored } from "../../network/index.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";

/** How the tensors of a network are stored in a model folder. */
export interface FolderViews {
  /** Of weights and biases in floating point: as the source has them. */
  readonly plain: StoredViews;
  /** Of weights that are quantized, and the biases of these: fused as in the source, experts each on their own. */
  readonly coded: StoredViews;
}

interface Part {
  readonly name: string;
  readonly view: StoredView;
}

/**
 * A result as a model folder has it: parts of a fused Linear as one, experts as the readers of folders want them. Codes, scales and
 * zero points are those of the network, in other rows. A network that stores all its tensors as they are is given back.
 *
 * @throws FormatError where Linears that are stored as one have different schemes, or only some of them codes
 */
export function storedSource(source: ExportSource, { plain, coded }: FolderViews): ExportSource {
  const moduleOf = (tensor: string): string => tensor.slice(0, tensor.lastIndexOf("."));
  const modules = partsByStored([...source.linears.keys()].flatMap((module) => partOf(`${module}.weight`, coded)));
  const tensors = partsByStored(
    [...source.plain.keys()].flatMap((name) => partOf(name, source.linears.has(moduleOf(name)) ? coded : plain)),
  );
  if (modules.size === 0 && tensors.size === 0) return source;
  const hidden = new Set([...modules.values(), ...tensors.values()].flatMap((parts) => parts.map(({ name }) => name)));
  const weights = new RecentWeights(source);
  const layouts = new Map<string, QuantizedLayout>();
  for (const [name, parts] of modules) layouts.set(moduleOf(name), joinedLayout(source, moduleOf(name), parts));
  return {
    ...source,
    linears: new Map([...[...source.linears].filter(([module]) => !hidden.has(`${module}.weight`)), ...layouts]),
    plain: new Map([
      ...[...source.plain].filter(([name]) => !hidden.has(name)),
      ...[...tensors].map(([name, parts]) => [name, joinedInfo(source, name, parts)] as const),
    ]),
    inputScales: storedScales(source, modules, moduleOf),
    readPacked: undefined,
    async readQuantized(module) {
      const parts = modules.get(`${module}.weight`);
      const layout = layouts.get(module);
      return parts === undefined || layout === undefined
        ? source.readQuantized(module)
        : joinedWeight(module, layout, parts, (name) => weights.read(moduleOf(name)));
    },
    async readPlain(name) {
      const parts = tensors.get(name);
      if (parts === undefined) return source.readPlain(name);
      const bytes = await Promise.all(parts.map((part) => source.readPlain(part.name)));
      const { view } = parts[0] as Part;
      const elements = view.storedShape.reduce((product, size) => product * size, 1);
      const elementSize = joinedInfo(source, name, parts).byteLength / elements;
      const read = parts.map((part, i) => ({ view: part.view, read: () => bytes[i] as Uint8Array }));
      return writeStored(name, read, elementSize);
    },
  };
}

function partOf(name: string, views: StoredViews): Part[] {
  const view = views.get(name);
  return view === undefined ? [] : [{ name, view }];
}

function partsByStored(parts: readonly Part[]): Map<string, Part[]> {
  const stored = new Map<string, Part[]>();
  for (const part of parts) {
    for (const name of part.view.from) stored.set(name, [...(stored.get(name) ?? []), part]);
  }
  return stored;
}

const layoutKeys = ["bits", "groupSize", "perChannel", "symmetric", "columns"] as const;

function joinedLayout(source: ExportSource, module: string, parts: readonly Part[]): QuantizedLayout {
  const names = parts.map(({ name }) => name.slice(0, -".weight".length));
  const [first, ...others] = names.map((name) => source.linears.get(name) as QuantizedLayout);
  if (first === undefined) throw new TypeError(`no part of ${module}`);
  const differs = others.some(
    (layout) =>
      layoutKeys.some((key) => layout[key] !== first[key]) || layout.groupBits?.join() !== first.groupBits?.join(),
  );
  const rows = parts.reduce((sum, { view }) => sum + rowsEach(view), 0);
  const whole = (parts[0] as Part).view;
  if (differs || rows !== storedRows(whole)) {
    throw new FormatError({
      where: module,
      what: differs
        ? `${names.join(", ")} are stored as one tensor and have different schemes`
        : `only ${names.join(", ")} of what it stores as one tensor ${names.length > 1 ? "are" : "is"} quantized`,
      next: `give all parts of ${module} one scheme: an override whose pattern matches all of them`,
    });
  }
  return { ...first, rows };
}

function storedRows({ shape, storedShape }: StoredView): number {
  return storedShape.reduce((product, size) => product * size, 1) / (shape[1] ?? 1);
}

async function joinedWeight(
  module: string,
  layout: QuantizedLayout,
  parts: readonly Part[],
  read: (name: string) => Promise<QuantizedWeight>,
): Promise<QuantizedWeight> {
  const weights: QuantizedWeight[] = [];
  for (const { name } of parts) weights.push(await read(name));
  const groups = layout.columns / layout.groupSize;
  const join = (bytesOf: (weight: QuantizedWeight) => Uint8Array, rowBytes: number): Uint8Array<ArrayBuffer> =>
    joinRows(
      `${module}.weight`,
      parts.map(({ view }, i) => ({ view, rows: bytesOf(weights[i] as QuantizedWeight) })),
      rowBytes,
    );
  const bytesOf = ({ scales }: QuantizedWeight): Uint8Array =>
    new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength);
  return {
    ...layout,
    codes: join(({ codes }) => codes, layout.columns),
    scales: new Float32Array(join(bytesOf, groups * Float32Array.BYTES_PER_ELEMENT).buffer),
    zeroPoints: join(({ zeroPoints }) => zeroPoints, groups),
  };
}

function joinedInfo(source: ExportSource, name: string, parts: readonly Part[]): TensorInfo {
  const [first] = parts;
  const info = source.plain.get(first?.name ?? "");
  if (first === undefined || info === undefined) throw new TypeError(`no part of ${name}`);
  const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
  const shape = first.view.storedShape;
  return { ...info, name, shape, byteLength: (info.byteLength / count(info.shape)) * count(shape) };
}

// Parts of one Linear read the same input, which has one scale.
function storedScales(
  { inputScales }: ExportSource,
  modules: ReadonlyMap<string, readonly Part[]>,
  moduleOf: (tensor: string) => string,
): ReadonlyMap<string, number> {
  const scales = new Map(inputScales);
  for (const [stored, parts] of modules) {
    for (const { name } of parts) {
      const scale = inputScales.get(moduleOf(name));
      scales.delete(moduleOf(name));
      if (scale !== undefined) scales.set(moduleOf(stored), scale);
    }
  }
  return scales;
}

/** The last weights that were read: experts are written one after the other, each with a part of the same ones. */
class RecentWeights {
  readonly #recent = new Map<string, Promise<QuantizedWeight>>();

  constructor(private readonly source: ExportSource) {}

  read(module: string): Promise<QuantizedWeight> {
    const weight = this.#recent.get(module) ?? this.source.readQuantized(module);
    this.#recent.delete(module);
    this.#recent.set(module, weight);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= KEPT) break;
      this.#recent.delete(oldest);
    }
    return weight;
  }
}

/** The Linears of one expert, whose parts are written together. */
const KEPT = 3;
