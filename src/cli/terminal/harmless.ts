/** Text of a model for a terminal: lines and tabs stay, other control characters, which could move its cursor, go. */
export function harmless(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, "");
}
