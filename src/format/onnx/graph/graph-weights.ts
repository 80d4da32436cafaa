import { DATA_TYPE_BYTES, DATA_TYPES, type DataType } from "../../../checkpoint/onnx/schema.js";
import { FormatError } from "../../../errors.js";
import type { ExportSource, QuantizedLayout } from "../../contract/export-source.js";
import { type Container, containerOf, type QuantizedPart, rowBytes } from "../layout.js";
import type { GraphBuilder } from "./graph-builder.js";

/** Type of the activations, caches and norms of a graph. */
export type ComputeType = "float32" | "float16";

/** One tensor of the data files. */
export interface PlannedTensor {
  /** Name of the initializer. */
  readonly name: string;
  /** Module of a quantized Linear, name of a plain tensor, or null for the rotary tables. */
  readonly source: string | null;
  readonly part: QuantizedPart | "values" | "cosines" | "sines";
  /** The first block that turns by a rotary table; absent for everything else. */
  readonly block?: number;
  /** How the source stores a quantized Linear, and how the file does; null for everything else. */
  readonly layout: QuantizedLayout | null;
  readonly container: Container | null;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Number of the data file, and where the tensor begins in it. */
  readonly chunk: number;
  readonly offset: number;
}

/** Value names of a quantized Linear's stored tensors; scales in the compute type. */
export interface QuantizedInputs {
  readonly container: Container;
  readonly codes: string;
  readonly scales: string;
  /** Null where the node needs none. */
  readonly zeroPoints: string | null;
}

/** A tensor begins at a multiple of this, so that vector loads on a mapped file are aligned. */
const ALIGNMENT = 64;

const FLOATS: Readonly<Record<string, DataType>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/**
 * Brings the source's tensors into a graph as they are asked for, in that order, and gives each its place in the data
 * files. Every tensor keeps the bytes that the source has; a Cast, which onnxruntime computes once when it loads the file,
 * brings it to the compute type.
 */
export class GraphWeights {
  readonly tensors: PlannedTensor[] = [];
  readonly #names = new Set<string>();
  readonly #casts = new Map<string, string>();
  readonly #used = new Set<string>();
  #chunk = 0;
  #end = 0;

  /**
   * @param dataFile name of the first data file; the others end in `_1`, `_2`, ...
   * @param maxChunkBytes a tensor that would make a data file larger begins the next
   */
  constructor(
    readonly builder: GraphBuilder,
    readonly source: ExportSource,
    readonly compute: ComputeType,
    readonly dataFile: string,
    readonly maxChunkBytes: number,
  ) {}

  /** A plain tensor in its own type: `[shape]` must be the source's. */
  stored(name: string, shape: readonly number[]): { readonly value: string; readonly dataType: DataType } {
    const info = this.source.plain.get(name);
    if (info === undefined) {
      throw new FormatError({
        what: "the model lacks this tensor",
        where: name,
        next: "check that config.json belongs to these weights, and that the result is complete",
      });
    }
    const dataType = FLOATS[info.dtype];
    if (dataType === undefined) {
      throw new FormatError({
        what: `a tensor of type ${info.dtype} that is no float`,
        where: name,
        next: "export from a checkpoint in F32, F16 or BF16",
      });
    }
    if (info.shape.join() !== shape.join()) {
      throw new FormatError({
        what: `shape [${info.shape.join(", ")}] where config.json asks for [${shape.join(", ")}]`,
        where: name,
        next: "use the config.json that belongs to these weights",
      });
    }
    this.#used.add(name);
    if (!this.#names.has(name)) {
      this.#add({ name, source: name, part: "values", layout: null, container: null, dataType, shape });
    }
    return { value: name, dataType };
  }

  /** A plain tensor in the compute type. */
  float(name: string, shape: readonly number[]): string {
    const { value, dataType } = this.stored(name, shape);
    return this.#converted(value, dataType);
  }

  /** The stored tensors of a quantized Linear `[out, in]`, or null where the Linear is plain. */
  quantized(module: string, [rows, columns]: readonly [number, number]): QuantizedInputs | null {
    const layout = this.source.linears.get(module);
    if (layout === undefined) return null;
    if (layout.rows !== rows || layout.columns !== columns) {
      throw new FormatError({
        what: `${layout.rows} x ${layout.columns} weights where config.json asks for ${rows} x ${columns}`,
        where: module,
        next: "use the config.json that belongs to these weights",
      });
    }
    const container = containerOf(layout, module);
    const { bits, blockSize, blocks } = container;
    const base = { source: module, layout, container };
    const part = (kind: QuantizedPart, suffix: string, dataType: DataType, width: readonly number[]): string =>
      this.#add({ ...base, name: `${module}.weight.${suffix}`, part: kind, dataType, shape: [rows, ...width] });
    const codes = part("codes", "codes", "uint8", [blocks, (blockSize * bits) / 8]);
    const scales = part("scales", "scales", "float16", [blocks]);
    const zeroPoints = container.zeroPoints
      ? part("zeroPoints", "zero_points", "uint8", [rowBytes(container, "zeroPoints")])
      : null;
    this.#used.add(module);
    return { container, codes, scales: this.#converted(scales, "float16"), zeroPoints };
  }

  /** A rotary table `[positions, turned width / 2]` in the compute type, of the blocks that turn as `block` does. */
  rotaryTable(
    { name, part, block }: { readonly name: string; readonly part: "cosines" | "sines"; readonly block: number },
    shape: readonly [number, number],
  ): string {
    return this.#add({ name, source: null, part, block, layout: null, container: null, dataType: this.compute, shape });
  }

  /** Modules and plain tensors that nothing asked for. */
  unused(): readonly string[] {
    return [...this.source.linears.keys(), ...this.source.plain.keys()].filter((name) => !this.#used.has(name));
  }

  #converted(value: string, dataType: DataType): string {
    if (dataType === this.compute) return value;
    const known = this.#casts.get(value);
    if (known !== undefined) return known;
    const name = `${value}/${this.compute}`;
    this.#casts.set(value, name);
    return this.builder.node(name, "Cast", [value], { attributes: { to: DATA_TYPES[this.compute] } });
  }

  #add(tensor: Omit<PlannedTensor, "byteLength" | "chunk" | "offset">): string {
    const { name, shape, dataType } = tensor;
    const byteLength = shape.reduce((product, size) => product * size, DATA_TYPE_BYTES[dataType]);
    if (this.#end > 0 && this.#end + byteLength > this.maxChunkBytes) {
      this.#chunk++;
      this.#end = 0;
    }
    const planned = { ...tensor, byteLength, chunk: this.#chunk, offset: this.#end };
    this.tensors.push(planned);
    this.#names.add(name);
    this.builder.external(name, dataType, shape, {
      location: chunkName(this.dataFile, this.#chunk),
      offset: planned.offset,
      byteLength,
    });
    this.#end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    return name;
  }
}

/** Names of the data files as transformers.js asks for them. */
export function chunkName(dataFile: string, chunk: number): string {
  return chunk === 0 ? dataFile : `${dataFile}_${chunk}`;
}
