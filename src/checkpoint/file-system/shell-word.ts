/** What no shell changes or splits; `~` only at the beginning means something to one, and is not among them. */
const plain = /^[\w@%+:,./=-]+$/;
/** What a POSIX shell reads inside double quotes; `!` is one for interactive shells. */
const readInQuotes = /["$`\\!]/;

/**
 * A path or value as one word of a command that a message offers to be copied: as it is where a shell would leave it so,
 * in double quotes where it would split it, in single ones where it would read `$`, quotes or the like. What begins with
 * `-` or `~` gets `../` before it: one would be taken for an option, the other for a home folder.
 */
export function shellWord(text: string): string {
  const word = /^[-~]/.test(text) ? `./${text}` : text;
  if (plain.test(word)) return word;
  return readInQuotes.test(word) ? `'${word.replaceAll("'", `'\\''`)}'` : `"${word}"`;
}
