import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** An optional package that the user's project has installed. */
export interface FoundPackage {
  /** What `import()` takes. */
  readonly entry: string;
  readonly version: string;
}

/**
 * Finds an optional peer dependency: from the working folder up, then from crossblock's own folder up, as Node would.
 * Node's own resolution can't be asked, because `import.meta.resolve` knows no other starting point.
 */
export function findPackage(name: string, start: string = process.cwd()): FoundPackage | null {
  for (const from of [join(start, "package.json"), fileURLToPath(import.meta.url)]) {
    for (const folder of createRequire(from).resolve.paths(name) ?? []) {
      const found = readPackage(join(folder, name));
      if (found !== null) return found;
    }
  }
  return null;
}

function readPackage(folder: string): FoundPackage | null {
  let description: Readonly<Record<string, unknown>>;
  try {
    description = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  } catch {
    return null;
  }
  const file = entryOf(description["exports"]) ?? description["main"] ?? "index.js";
  const version = description["version"];
  return {
    entry: pathToFileURL(join(folder, String(file))).href,
    version: typeof version === "string" ? version : "of unknown version",
  };
}

/** The file behind `exports`, for `import` in Node. */
function entryOf(exported: unknown): string | null {
  if (typeof exported === "string") return exported;
  if (exported === null || typeof exported !== "object") return null;
  for (const key of [".", "node", "import", "default"]) {
    const entry = entryOf(Reflect.get(exported, key));
    if (entry !== null) return entry;
  }
  return null;
}
