import type { DataType } from "../../../checkpoint/onnx/schema.js";
import { FormatError } from "../../../errors.js";
import { GraphTensors } from "../../../network/index.js";
import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { readSound } from "../../contract/output-tensors.js";
import { encodeCodes, encodeScales, encodeZeroPoints } from "../encode.js";
import type { GraphResult, QdqPlan } from "../plan.js";
import type { AddedTensor } from "./additions.js";
import { type LayerFloats, layerFloats, storedTypes } from "./layer-floats.js";

/** The content of a plan's tensors. A quantized weight is read once for its codes, scales and zero points. */
export class WrittenTensors {
  readonly #own: GraphTensors;
  readonly #types: ReadonlyMap<string, DataType>;
  #weight: { readonly module: string; readonly weight: QuantizedWeight } | null = null;

  constructor(
    private readonly result: GraphResult,
    private readonly plan: QdqPlan,
  ) {
    this.#own = new GraphTensors(result.graph.cut);
    this.#types = storedTypes(result.graph.content);
  }

  /** Constants of the file whose floats the result has otherwise, by name. */
  async changedFloats(): Promise<ReadonlyMap<string, Uint8Array>> {
    const { content, cut } = this.result.graph;
    const changed = new Map<string, Uint8Array>();
    for (const [name, readers] of this.plan.floats) {
      const dataType = this.#types.get(name);
      if (dataType === undefined) continue;
      const bytes = await this.#floats(name, readers, dataType);
      const stored = content.tensors.has(name) ? content.readBytes(name) : cut.graph.constants.get(name)?.bytes();
      if (stored === undefined || Buffer.compare(bytes, stored) !== 0) changed.set(name, bytes);
    }
    return changed;
  }

  /** Those of them that are no initializers of the file, but Constant nodes. */
  fromConstants(changed: ReadonlyMap<string, Uint8Array>): readonly {
    readonly name: string;
    readonly dataType: DataType;
    readonly shape: readonly number[];
    readonly bytes: Uint8Array;
  }[] {
    const { content, cut } = this.result.graph;
    return [...changed].flatMap(([name, bytes]) => {
      if (content.tensors.has(name)) return [];
      const shape = cut.graph.constants.get(name)?.shape ?? [];
      return [{ name, dataType: this.#types.get(name) ?? "float32", shape, bytes }];
    });
  }

  /** @throws FormatError when a weight is not sound */
  async bytes({ name, dataType, content }: AddedTensor): Promise<Uint8Array> {
    if (content.kind === "bytes") return content.bytes;
    if (content.kind === "floats") return this.#floats(name, this.plan.floats.get(content.constant) ?? [], dataType);
    const planned = this.plan.layers.find(({ layer }) => layer.plan.module === content.module);
    if (planned === undefined) throw new TypeError(`${content.module} is not planned`);
    const { form, layout } = planned;
    const known = this.#weight?.module === content.module ? this.#weight.weight : null;
    const weight = known ?? (await readSound(this.result, content.module, layout));
    this.#weight = { module: content.module, weight };
    if (content.kind === "codes") return encodeCodes(weight, form);
    return content.kind === "scales" ? encodeScales(weight, form) : encodeZeroPoints(weight, form);
  }

  async #floats(name: string, readers: readonly LayerFloats[], dataType: DataType): Promise<Uint8Array> {
    const all = await Promise.all(readers.map((reader) => layerFloats(this.result, this.#own, reader, dataType)));
    const [first] = all;
    if (first === undefined) throw new TypeError(`no layer reads ${name}`);
    if (all.every((bytes) => Buffer.compare(bytes, first) === 0)) return first;
    throw new FormatError({
      what: `${readers.map(({ layer }) => layer.plan.module).join(" and ")} share it, and the result has two of it`,
      where: `${this.result.graph.content.file}, "${name}"`,
      next: "export the network with a bias of its own for every layer",
    });
  }
}
