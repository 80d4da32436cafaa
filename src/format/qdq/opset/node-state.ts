import { ATTRIBUTE_TYPES, type OnnxAttribute, type OnnxNode } from "../../../checkpoint/onnx/schema.js";

/** What a change of version may ask for and add to. */
export interface RaiseContext {
  /** An int64 constant `[n]`. */
  integers(values: readonly number[]): string;
  /** A constant `[n]` of the type that floats of the node have, or one number where a single one is given. */
  floats(values: readonly number[] | number): string;
  /** Dimensions of a value; null where the file does not tell. */
  rank(value: string): number | null;
}

/** Why a node has no like in a newer version. */
export class CannotRaise extends Error {}

/** A node while its operator goes from one version to the next. */
export class NodeState {
  operator: string;
  inputs: string[];
  readonly dropped = new Set<string>();
  readonly added: OnnxAttribute[] = [];

  constructor(private readonly node: OnnxNode) {
    this.operator = node.operator ?? "";
    this.inputs = [...(node.inputs ?? [])];
  }

  get outputs(): readonly string[] {
    return this.node.outputs ?? [];
  }

  get isChanged(): boolean {
    const before = this.node.inputs ?? [];
    return (
      this.dropped.size > 0 ||
      this.added.length > 0 ||
      this.operator !== this.node.operator ||
      before.length !== this.inputs.length ||
      before.some((name, i) => name !== this.inputs[i])
    );
  }

  attribute(name: string): OnnxAttribute | null {
    if (this.dropped.has(name)) return null;
    return this.node.attributes?.find((each) => each.name === name) ?? null;
  }

  /** Takes an attribute away, and gives what it said. */
  take(name: string): OnnxAttribute | null {
    const found = this.attribute(name);
    if (found !== null) this.dropped.add(name);
    return found;
  }

  /** Takes a list of integers away. */
  takeInts(name: string): readonly number[] | null {
    const found = this.take(name);
    return found === null ? null : (found.ints ?? []);
  }

  setInt(name: string, int: number): void {
    this.take(name);
    this.added.push({ name, int, type: ATTRIBUTE_TYPES.int });
  }

  setText(name: string, text: string): void {
    this.take(name);
    this.added.push({ name, string: new TextEncoder().encode(text), type: ATTRIBUTE_TYPES.string });
  }

  /** Sets an input, those before it that are not there left out. */
  setInput(at: number, value: string): void {
    while (this.inputs.length < at) this.inputs.push("");
    this.inputs[at] = value;
  }
}
