/**
 * A text as code in a line of Markdown. Names come from models of others: line breaks, backticks and bars of a table would
 * end what they stand in.
 */
export function code(text: string): string {
  const line = oneLine(text).replaceAll("`", "'").replaceAll("|", "\\|");
  return line === "" ? "" : `\`${line}\``;
}

/** A text as prose in a line or a cell of a table: nothing in it is a mark, a link or a tag. */
export function cell(text: string): string {
  return oneLine(text)
    .replace(/[\\`*[\]|~]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replace(/(^|\W)_|_(?=\W|$)/g, (found) => found.replace("_", "\\_"));
}

/** Control characters, among them line breaks and those that turn the direction of writing, are spaces. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
}
