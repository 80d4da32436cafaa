/** The width of lines that no terminal says anything about. */
export const TEXT_WIDTH = 80;

/**
 * Text in lines of at most 80 characters, cut between words; a longer word stands on a line of its own.
 *
 * @param indent spaces before every line
 */
export function wrapped(text: string, indent: number, width = TEXT_WIDTH): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((each) => " ".repeat(indent) + each);
}
