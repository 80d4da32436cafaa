import { basename, dirname } from "node:path";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import { noGrad, scope, type Tensor } from "../../tensor/index.js";
import { constantTensor } from "./compute/constant-tensor.js";
import type { CutGraph } from "./units/graph-units.js";
import type { GraphLayer } from "./units/layers.js";
import { rowsOfWeight } from "./units/weight-rows.js";

interface StoredPart {
  readonly info: TensorInfo;
  readonly read: () => Tensor;
}

/**
 * The weights of a graph's layers as a checkpoint of Linears: `NAME.weight` is `[out, in * kernel]` whatever the node, and
 * `NAME.bias` `[out]`, all in fp32.
 */
export class GraphTensors implements TensorReader {
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #parts: ReadonlyMap<string, StoredPart>;

  constructor(private readonly cut: CutGraph) {
    const { file } = cut.graph;
    this.folder = dirname(file);
    const layers = cut.units.flatMap((unit) => unit.layers);
    this.#parts = new Map(
      layers.flatMap((layer) => this.#partsOf(layer).map((part) => [part.info.name, part] as const)),
    );
    this.tensors = new Map([...this.#parts].map(([name, { info }]) => [name, info]));
  }

  async read(name: string): Promise<Uint8Array> {
    return this.readSync(name);
  }

  readSync(name: string): Uint8Array {
    const part = this.#parts.get(name);
    if (part === undefined) {
      throw new CheckpointError({
        what: `it has no layer's tensor "${name}"`,
        where: this.cut.graph.file,
        next: "see its layers with crossblock inspect",
      });
    }
    return noGrad(() => scope(() => part.read().toBytes()));
  }

  /** The file is in memory, or the system reads it ahead. */
  willRead(): void {}

  #partsOf(layer: GraphLayer): readonly StoredPart[] {
    const { plan, weight, bias } = layer;
    const { module, rows, columns } = plan;
    const part = (name: string, shape: readonly number[], read: () => Tensor): StoredPart => {
      const byteLength = shape.reduce((product, size) => product * size, 4);
      return { info: { name, dtype: "F32", shape, file: basename(this.cut.graph.file), byteLength }, read };
    };
    const matrix = part(`${module}.weight`, [rows, columns], () => rowsOfWeight(this.#constant(weight), layer));
    return bias === null
      ? [matrix]
      : [matrix, part(`${module}.bias`, [rows], () => this.#constant(bias).reshape([rows]))];
  }

  #constant(name: string): Tensor {
    const constant = this.cut.graph.constants.get(name);
    if (constant === undefined) throw new TypeError(`the graph has no constant "${name}"`);
    return constantTensor(constant);
  }
}
