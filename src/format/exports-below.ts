import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { exporters, type FoundExport, formatNames } from "./exporters.js";

/** The exports in the folders that are named after the formats. */
export async function exportsBelow(folder: string): Promise<FoundExport[]> {
  const found: FoundExport[] = [];
  for (const format of formatNames) {
    const place = join(folder, format);
    for (const path of exporters[format].kind === "folder" ? [place] : await filesIn(place)) {
      const existing = await exporters[format].find(path);
      if (existing !== null) found.push({ format, path: existing });
    }
  }
  return found;
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !name.startsWith(".")).map((name) => join(folder, name));
}
