import { decodeMessage } from "../../../checkpoint/onnx/decode-message.js";
import { encodedFields, lengthField, type RawField, rawFields } from "../../../checkpoint/onnx/raw-message.js";
import { ATTRIBUTE, NODE, type OnnxAttribute } from "../../../checkpoint/onnx/schema.js";

/** What changes of a node: all that is not named here stays as it is stored. */
export interface NodeEdit {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly operator?: string;
  readonly dropped?: ReadonlySet<string>;
  readonly added?: readonly OnnxAttribute[];
}

/**
 * A node's message with another list of inputs and outputs, and other attributes where they are named.
 *
 * @param where the file, for errors
 */
export function editNode(content: Uint8Array, edit: NodeEdit, where: string): readonly Uint8Array[] {
  const fields = rawFields(content, where);
  const pieces: Uint8Array[] = [];
  const text = (number: number, value: string): readonly Uint8Array[] =>
    lengthField(number, new TextEncoder().encode(value));
  const lists = new Map<number, readonly string[]>([
    [NODE.inputs.number, edit.inputs],
    [NODE.outputs.number, edit.outputs],
  ]);
  // A list stands where it stood; the first of its fields makes room for all.
  const done = new Set<number>();
  const writeList = (number: number): void => {
    if (done.has(number)) return;
    done.add(number);
    for (const value of lists.get(number) ?? []) pieces.push(...text(number, value));
  };
  for (const field of fields) {
    if (lists.has(field.number)) writeList(field.number);
    else if (field.number === NODE.operator.number && edit.operator !== undefined) {
      pieces.push(...text(field.number, edit.operator));
    } else if (!isDropped(field, edit, where)) pieces.push(field.bytes);
  }
  for (const number of lists.keys()) writeList(number);
  for (const attribute of edit.added ?? []) {
    pieces.push(...lengthField(NODE.attributes.number, encodedFields(ATTRIBUTE, attribute)));
  }
  return pieces;
}

function isDropped({ number, content }: RawField, { dropped }: NodeEdit, where: string): boolean {
  if (number !== NODE.attributes.number || dropped === undefined) return false;
  return dropped.has(decodeMessage({ name: ATTRIBUTE.name }, content, where).name ?? "");
}
