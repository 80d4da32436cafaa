import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { InputError } from "../../errors.js";
import { exporters, type FormatName, type FoundExport, formatNames, recogniseExport } from "../../format/exporters.js";

/**
 * The exports of a result: those below its own folder, and those at the given paths, each a file, a folder of one
 * format, or a folder that holds them as `crossblock export` does. The result itself is not among them.
 *
 * @param formats only these; null for all
 * @throws InputError for a path that holds none, or a format that nothing was found of
 */
export async function findExports(
  result: string,
  paths: readonly string[],
  formats: readonly FormatName[] | null,
): Promise<readonly FoundExport[]> {
  const found = await below(result);
  for (const path of paths) {
    const own = await recogniseExport(path);
    const named = own === null ? await below(path) : [own];
    if (named.length === 0) {
      throw new InputError({
        where: path,
        what: "holds no export",
        why: `neither a file nor a folder of ${formatNames.join(", ")}`,
        next: (await isFile(path))
          ? "name a .gguf or .onnx file, a folder of one format, or the --out of crossblock export"
          : `write one with: crossblock export ${shellWord(result)} --format gguf --out ${shellWord(path)}`,
      });
    }
    found.push(...named);
  }
  const unique = [...new Map(found.map((each) => [resolve(each.path), each])).values()];
  const missing = formats?.find(
    (format) => format !== formatNames[0] && !unique.some((each) => each.format === format),
  );
  if (missing !== undefined) {
    throw new InputError({
      where: `--format ${missing}`,
      what: `${result} has no export of this format`,
      next: `write it with: crossblock export ${shellWord(result)} --format ${missing}; or name it with --export PATH`,
    });
  }
  return unique.filter(({ format }) => formats === null || formats.includes(format));
}

/** The exports in the folders that are named after the formats. */
async function below(folder: string): Promise<FoundExport[]> {
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

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() === true;
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !name.startsWith(".")).map((name) => join(folder, name));
}
