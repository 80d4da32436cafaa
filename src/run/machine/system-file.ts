import { readFile } from "node:fs/promises";

/** @returns the text of a file by which the system tells of itself; empty where there is none, as outside Linux */
export async function readSystemFile(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
