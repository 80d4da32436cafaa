import { ATTRIBUTE_TYPES, type OnnxAttribute, type OnnxTensor } from "../../checkpoint/onnx/schema.js";
import { ModelError } from "../../errors.js";

/** The attributes of a node, read by the kind that its operator wants. */
export class Attributes {
  readonly #byName: ReadonlyMap<string, OnnxAttribute>;

  constructor(
    attributes: readonly OnnxAttribute[],
    /** The node, for errors. */
    private readonly where: string,
  ) {
    this.#byName = new Map(attributes.map((attribute) => [attribute.name ?? "", attribute]));
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  int(name: string, otherwise: number): number {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return otherwise;
    return this.#kind(attribute, ATTRIBUTE_TYPES.int) ? (attribute.int ?? 0) : this.#refuse(name, "an integer");
  }

  float(name: string, otherwise: number): number {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return otherwise;
    return this.#kind(attribute, ATTRIBUTE_TYPES.float) ? (attribute.float ?? 0) : this.#refuse(name, "a number");
  }

  string(name: string, otherwise: string): string {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return otherwise;
    if (!this.#kind(attribute, ATTRIBUTE_TYPES.string)) return this.#refuse(name, "a text");
    return new TextDecoder().decode(attribute.string ?? new Uint8Array(0));
  }

  /** Null where the node has none of this name. */
  ints(name: string): readonly number[] | null {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return null;
    return this.#kind(attribute, ATTRIBUTE_TYPES.ints)
      ? (attribute.ints ?? [])
      : this.#refuse(name, "a list of integers");
  }

  /** Null where the node has none of this name. */
  floats(name: string): readonly number[] | null {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return null;
    return this.#kind(attribute, ATTRIBUTE_TYPES.floats)
      ? (attribute.floats ?? [])
      : this.#refuse(name, "a list of numbers");
  }

  /** Null where the node has none of this name. */
  tensor(name: string): OnnxTensor | null {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return null;
    return attribute.tensor ?? this.#refuse(name, "a tensor");
  }

  /** Whether one of them is a graph: a branch or the body of a loop. */
  get hasGraph(): boolean {
    return [...this.#byName.values()].some(({ graph, graphs }) => graph !== undefined || graphs !== undefined);
  }

  // Files of the first versions of the format leave the type out.
  #kind({ type }: OnnxAttribute, wanted: number): boolean {
    return type === undefined || type === 0 || type === wanted;
  }

  #refuse(name: string, kind: string): never {
    throw new ModelError({
      what: `its attribute "${name}" is not ${kind}`,
      where: this.where,
      why: "the file is damaged",
      next: "export the network again",
    });
  }
}
