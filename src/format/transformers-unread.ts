/** Whether some of these Linears are those of experts. */
export function hasExperts(linears: Iterable<string>): boolean {
  return [...linears].some((name) => /\bexperts\b/.test(name));
}

/** The note on what transformers leaves unread in a folder, where it has no place for it. */
export function unreadByTransformers(what: string): string {
  return `transformers does not read ${what}: it keeps them in other tensors, fills those with random numbers and only warns.`;
}
