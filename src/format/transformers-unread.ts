/** Whether some of these Linears are those of experts. */
export function hasExperts(linears: Iterable<string>): boolean {
  return [...linears].some((name) => /\bexperts\b/.test(name));
}

/**
 * What to know of a folder of packed integers that has experts, as GPTQ and AWQ write them: found by running transformers 5
 * (`bench/judge/compare-logits.mjs`).
 */
export function expertsUnread(
  { linears }: { readonly linears: ReadonlyMap<string, unknown> },
  folder: string,
): readonly string[] {
  return hasExperts(linears.keys()) ? [unreadByTransformers(`experts from ${folder} folder`)] : [];
}

/** The note on what transformers leaves unread in a folder, where it has no place for it. */
export function unreadByTransformers(what: string): string {
  return `transformers does not read ${what}: it keeps them in other tensors, fills those with random numbers and only warns.`;
}
