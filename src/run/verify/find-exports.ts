import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { InputError } from "../../errors.js";
import { type FormatName, type FoundExport, formatNames, recogniseExport } from "../../format/exporters.js";
import { exportsBelow } from "../../format/exports-below.js";

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
  const found = await exportsBelow(result);
  for (const path of paths) {
    const own = await recogniseExport(path);
    const named = own === null ? await exportsBelow(path) : [own];
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

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() === true;
}
