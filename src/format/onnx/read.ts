import { OnnxContent, type OnnxFileTensor } from "../../checkpoint/onnx/onnx-content.js";
import type { DataType, OnnxModel, OnnxNode } from "../../checkpoint/onnx/schema.js";
import { FormatError } from "../../errors.js";
import { type BlockedWeight, decodeWeight, type StoredShape } from "./decode.js";

export type { OnnxFileTensor } from "../../checkpoint/onnx/onnx-content.js";

/** One MatMulNBits node and the initializers that it reads. */
export interface StoredLinear extends StoredShape {
  readonly accuracyLevel: number;
  readonly codes: string;
  readonly scales: string;
  readonly zeroPoints: string | null;
}

/**
 * An open ONNX export with its data files: what `OnnxContent` checks, and the quantized Linears. Throws FormatErrors.
 */
export class OnnxFile implements Disposable {
  readonly #content: OnnxContent;
  /** Quantized Linears by module name, which is the node's name without `/MatMulNBits`. */
  readonly linears: ReadonlyMap<string, StoredLinear>;

  /** @throws EnvironmentError when the file can't be read; FormatError when it is no sound ONNX file */
  static open(file: string): OnnxFile {
    return new OnnxFile(OnnxContent.open(file));
  }

  private constructor(content: OnnxContent) {
    this.#content = content;
    try {
      this.#checkOverlaps(content.tensors);
      this.linears = this.#readLinears();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get file(): string {
    return this.#content.file;
  }

  get model(): OnnxModel {
    return this.#content.model;
  }

  get tensors(): ReadonlyMap<string, OnnxFileTensor> {
    return this.#content.tensors;
  }

  /** The stored bytes of a tensor. */
  readBytes(name: string): Uint8Array {
    return this.#content.readBytes(name);
  }

  /** Codes, scales and zero points of a quantized Linear. */
  readQuantized(module: string): BlockedWeight {
    const linear = this.linears.get(module) ?? this.#fail(module, "the file has no quantized Linear of this name");
    return decodeWeight(module, linear, {
      codes: this.readBytes(linear.codes),
      scales: this.readBytes(linear.scales),
      zeroPoints: linear.zeroPoints === null ? null : this.readBytes(linear.zeroPoints),
    });
  }

  close(): void {
    this.#content.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkOverlaps(tensors: ReadonlyMap<string, OnnxFileTensor>): void {
    const ends = new Map<string, number>();
    for (const { name, location, offset, byteLength } of [...tensors.values()].sort((a, b) => a.offset - b.offset)) {
      if (location === null) continue;
      if (offset < (ends.get(location) ?? 0)) this.#fail(name, "it overlaps the tensor before it");
      ends.set(location, offset + byteLength);
    }
  }

  #readLinears(): Map<string, StoredLinear> {
    const nodes = this.model.graph?.nodes ?? [];
    const casts = new Map(
      nodes
        .filter(({ operator }) => operator === "Cast")
        .map(({ inputs = [], outputs = [] }) => [outputs[0] ?? "", inputs[0] ?? ""]),
    );
    const linears = new Map<string, StoredLinear>();
    for (const node of nodes) {
      if (node.operator !== "MatMulNBits") continue;
      const module = (node.name ?? "").replace(/\/MatMulNBits$/, "");
      if (linears.has(module)) this.#fail(module, "two nodes have this name");
      linears.set(module, this.#readLinear(module, node, casts));
    }
    return linears;
  }

  #readLinear(module: string, node: OnnxNode, casts: ReadonlyMap<string, string>): StoredLinear {
    const attributes = new Map((node.attributes ?? []).map(({ name = "", int }) => [name, int]));
    const { inputs = [] } = node;
    const bits = attributes.get("bits") ?? 4;
    const blockSize = attributes.get("block_size") ?? 0;
    const [rows, columns] = [attributes.get("N") ?? 0, attributes.get("K") ?? 0];
    if (bits !== 2 && bits !== 4 && bits !== 8) return this.#fail(module, `${bits} bits, not 2, 4 or 8`);
    if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 16) this.#fail(module, `blocks of ${blockSize} columns`);
    if (rows < 1 || columns < 1) this.#fail(module, `${rows} x ${columns} weights`);
    const stored = (i: number, dataType: DataType): string => {
      const value = inputs[i] ?? "";
      const name = this.tensors.has(value) ? value : (casts.get(value) ?? "");
      const found = this.tensors.get(name)?.dataType;
      return found === dataType ? name : this.#fail(module, `input ${i} is ${found ?? "missing"}, not ${dataType}`);
    };
    return {
      rows,
      columns,
      bits,
      blockSize,
      accuracyLevel: attributes.get("accuracy_level") ?? 0,
      codes: stored(1, "uint8"),
      scales: stored(2, "float16"),
      zeroPoints: (inputs[3] ?? "") === "" ? null : stored(3, "uint8"),
    };
  }

  #fail(where: string, what: string): never {
    throw new FormatError({
      what,
      where: `${this.file}, ${where}`,
      why: "the file is damaged, or not one that crossblock writes",
      next: "export or download this folder again",
    });
  }
}
