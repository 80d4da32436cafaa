import type { Disagreement, TextsVerdict } from "../certificate.js";

/** Texts whose ids are told; of the others only how many they are. */
const mostTold = 6;

/** Ids of a text that are shown, from a little before the first difference on. */
const shownIds = 24;

/**
 * Compares the ids that a runtime gives to texts with those of the model's own tokenizer.
 *
 * @param runtime its name, for messages
 * @param texts with the ids of the model's own tokenizer
 * @param found the runtime's ids of each text
 */
export function compareTokens(
  runtime: string,
  texts: readonly { readonly text: string; readonly ids: readonly number[] }[],
  found: readonly (readonly number[])[],
): { readonly verdict: TextsVerdict; readonly disagreements: readonly Disagreement[] } {
  const different = texts
    .map(({ text, ids }, i) => ({ text, ids, others: found[i] ?? [] }))
    .filter(({ ids, others }) => ids.length !== others.length || ids.some((id, i) => id !== others[i]));
  const told = different.slice(0, mostTold).map(({ text, ids, others }) => {
    const first = ids.findIndex((id, i) => id !== others[i]);
    const from = Math.max(0, (first < 0 ? ids.length : first) - 4);
    return `${runtime} cuts ${JSON.stringify(text)} into ${show(others, from)} instead of ${show(ids, from)}`;
  });
  const more = different.length - told.length;
  const lines = more > 0 ? [...told, `and ${more} more of ${texts.length} texts are cut differently`] : told;
  return {
    verdict: { compared: texts.length, different: different.length },
    disagreements: lines.map((what) => ({ tensor: "tokenizer", what })),
  };
}

function show(ids: readonly number[], from: number): string {
  const end = from + shownIds;
  return `[${from > 0 ? "... " : ""}${ids.slice(from, end).join(" ")}${ids.length > end ? " ..." : ""}]`;
}
