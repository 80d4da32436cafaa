// What Python calls white space: other characters than JavaScript's \s, which has U+FEFF and lacks U+001C..U+001F, U+0085.
const spaces = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

export const leadingSpace: RegExp = new RegExp(`^[${spaces}]+`);
export const onlySpace: RegExp = new RegExp(`^[${spaces}]+$`);
/** The beginnings of words for the filter `title`. */
export const wordBreaks: RegExp = new RegExp(`([-${spaces}({[<]+)`);
export const spaceRuns: RegExp = new RegExp(`[${spaces}]+`, "g");
const isSpace = new RegExp(`[${spaces}]`);

const surrogate = /[\ud800-\udfff]/;

/** The characters of a text as Python counts them: code points. */
export function characters(text: string): string[] {
  return surrogate.test(text) ? Array.from(text) : text.split("");
}

export function lengthOf(text: string): number {
  return surrogate.test(text) ? Array.from(text).length : text.length;
}

/** `str.lstrip(chars)`; white space without `chars`. */
export function stripStart(text: string, chars?: string): string {
  if (chars === undefined) return text.replace(leadingSpace, "");
  const set = new Set(characters(chars));
  const all = characters(text);
  let start = 0;
  while (start < all.length && set.has(all[start] ?? "")) start++;
  return all.slice(start).join("");
}

/** `str.rstrip(chars)`; white space without `chars`. */
export function stripEnd(text: string, chars?: string): string {
  if (chars === undefined) {
    let end = text.length;
    while (end > 0 && isSpace.test(text.charAt(end - 1))) end--;
    return text.slice(0, end);
  }
  const set = new Set(characters(chars));
  const all = characters(text);
  let end = all.length;
  while (end > 0 && set.has(all[end - 1] ?? "")) end--;
  return all.slice(0, end).join("");
}

/** `str.split(separator, most)`; runs of white space without a separator. */
export function splitText(text: string, separator: string | undefined, most = -1): string[] {
  if (separator !== undefined) {
    const parts = text.split(separator);
    if (most < 0 || parts.length <= most + 1) return parts;
    return [...parts.slice(0, most), parts.slice(most).join(separator)];
  }
  const parts: string[] = [];
  let rest = stripStart(text);
  while (rest !== "") {
    if (parts.length === most) return [...parts, rest];
    spaceRuns.lastIndex = 0;
    const gap = spaceRuns.exec(rest);
    parts.push(gap === null ? rest : rest.slice(0, gap.index));
    rest = gap === null ? "" : rest.slice(gap.index + gap[0].length);
  }
  return parts;
}

/** `str.rsplit(separator, most)`. */
export function splitTextFromEnd(text: string, separator: string | undefined, most = -1): string[] {
  if (separator !== undefined) {
    const parts = text.split(separator);
    if (most < 0 || parts.length <= most + 1) return parts;
    const kept = parts.length - most;
    return [parts.slice(0, kept).join(separator), ...parts.slice(kept)];
  }
  if (most < 0) return splitText(text, undefined);
  const parts: string[] = [];
  let rest = stripEnd(text);
  while (rest !== "") {
    if (parts.length === most) return [rest, ...parts];
    let start = rest.length;
    while (start > 0 && !isSpace.test(rest.charAt(start - 1))) start--;
    parts.unshift(rest.slice(start));
    rest = stripEnd(rest.slice(0, start));
  }
  return parts;
}

// A class of code units; a literal pattern may not have control characters.
const lineEnds = "\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029";
const lineEnd = new RegExp(`\\r\\n|[${lineEnds}]`, "g");

/** `str.splitlines(keepEnds)`. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const match of text.matchAll(lineEnd)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(start, keepEnds ? end : match.index));
    start = end;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** `str.title()`: a cased letter after anything that has no case becomes a capital. */
export function titleCase(text: string): string {
  return text.replaceAll(/[\p{Lowercase}\p{Uppercase}\p{Lt}]+/gu, capitalize);
}

// Letters whose form at the beginning of a title is not the first of their capitals.
const titles: Readonly<Record<string, string>> = {
  "\u01c4": "\u01c5",
  "\u01c6": "\u01c5",
  "\u01c7": "\u01c8",
  "\u01c9": "\u01c8",
  "\u01ca": "\u01cb",
  "\u01cc": "\u01cb",
  "\u01f1": "\u01f2",
  "\u01f3": "\u01f2",
  "\u0149": "\u02bcN",
};

/** `str.capitalize()`. */
export function capitalize(text: string): string {
  const [first = "", ...rest] = characters(text);
  const title = titles[first];
  if (title !== undefined) return title + rest.join("").toLowerCase();
  // The capital of a ligature such as U+FB01 is two letters, of which Python makes only the first large.
  const upper = characters(first.toUpperCase());
  return (upper[0] ?? "") + upper.slice(1).join("").toLowerCase() + rest.join("").toLowerCase();
}

/** Order of two texts by code points; JavaScript's own is by UTF-16 units. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  if (!surrogate.test(a) && !surrogate.test(b)) return a < b ? -1 : 1;
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
