import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

const mark = /\n<!-- crossblock [0-9a-f]{64} -->\n$/;

/** A page, Markdown or HTML, with a last line that tells whether it is still as it was written. */
export function sealed(text: string): string {
  const body = text.trimEnd();
  return `${body}\n\n<!-- crossblock ${hash(`${body}\n`)} -->\n`;
}

/** Whether a page is one of ours, and no one changed it since. */
export function isSealed(text: string): boolean {
  const found = mark.exec(text)?.[0];
  if (found === undefined) return false;
  return found.includes(hash(text.slice(0, -found.length)));
}

/** The same of a file; false where there is none. */
export async function isSealedFile(path: string): Promise<boolean> {
  try {
    return isSealed(await readFile(path, "utf8"));
  } catch {
    return false;
  }
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
