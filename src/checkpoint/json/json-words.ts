import { endOfString } from "./end-of-string.js";

/** A number that Python's `json` writes and JSON does not have. */
export type PythonNumber = "NaN" | "Infinity" | "-Infinity";

const words = /-?Infinity|NaN/y;

/** The text with Python's words for numbers, where they stand outside strings as values of their own, replaced. */
export function outsideStrings(text: string, replace: (word: PythonNumber) => string): string {
  let result = "";
  let copied = 0;
  for (let i = 0; i < text.length; ) {
    const char = text.charCodeAt(i);
    if (char === 0x22) {
      i = endOfString(text, i);
      continue;
    }
    const word = char === 0x4e || char === 0x49 || char === 0x2d ? wordAt(text, i) : null;
    if (word === null) {
      i++;
      continue;
    }
    result += text.slice(copied, i) + replace(word);
    i += word.length;
    copied = i;
  }
  return result + text.slice(copied);
}

// Between two letters or digits it is a part of something else, which is no JSON.
function wordAt(text: string, at: number): PythonNumber | null {
  words.lastIndex = at;
  const word = words.exec(text)?.[0];
  if (word === undefined) return null;
  const [before, after] = [text[at - 1] ?? "", text[at + word.length] ?? ""];
  return /[\w.+-]/.test(before) || /[\w.+-]/.test(after) ? null : (word as PythonNumber);
}
