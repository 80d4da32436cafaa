import type { QdqPlan } from "./plan.js";

/** What a user should know of a file: whole sentences. */
export function qdqNotes({ layers, opset, small }: QdqPlan): readonly string[] {
  const narrow = layers.filter(({ layout, form }) => layout.bits < bitsOf(form.type));
  const nibbles = layers.filter(({ form }) => bitsOf(form.type) === 4);
  const widths = [...new Set(narrow.map(({ layout }) => layout.bits))].sort((a, b) => a - b);
  const stored = [...new Set(narrow.map(({ form }) => bitsOf(form.type)))].sort((a, b) => a - b);
  return [
    ...(narrow.length === 0
      ? []
      : [
          `${count(narrow.length)} of ${widths.join(" and ")} bits ${narrow.length === 1 ? "takes" : "take"} ${stored.join(" or ")} bits a code: the integers of QDQ have no others.`,
        ]),
    ...(opset.from === opset.to ? [] : [`Operators were raised from version ${opset.from} to ${opset.to}.`]),
    ...(nibbles.length > 0 && small === "int4" && layers.some(({ grid }) => grid !== null)
      ? [
          `onnxruntime computes ${count(nibbles.length)} with integers of 4 bits in floating point; --qdq-codes int8 takes twice the space and lets it multiply integers.`,
        ]
      : []),
  ];
}

function bitsOf(type: string): number {
  return type.endsWith("int4") ? 4 : 8;
}

function count(layers: number): string {
  return layers === 1 ? "1 layer" : `${layers} layers`;
}
