import { z } from "zod";
import { OptionError } from "../../../errors.js";
import { assertUsed, exportOptionsShape } from "../../../format/contract/export-options.js";
import { formatNames } from "../../../format/exporters.js";
import { oneOrMany } from "../parse/one-or-many.js";
import { parseOptions, rejectUnknownKeys, type UntypedOptions } from "../parse/parse-options.js";
import { pathOption } from "../parse/path-option.js";
import { revisionOption } from "../parse/revision-option.js";

/** Every option of `export`: types, defaults and help come from here, as those of `quantize` do from theirs. */
export const exportResultSchema = z.strictObject({
  result: pathOption.describe(
    "folder that quantize wrote, or another one of compressed-tensors; owner/name where it is on the Hugging Face Hub",
  ),
  revision: revisionOption,
  format: oneOrMany(z.enum(formatNames), { least: 1 }).describe("formats to write, one or several"),
  out: pathOption
    .nullable()
    .default(null)
    .describe("folder of the exports, each in a folder of its format's name; null puts them into the result's"),
  force: z
    .boolean()
    .default(false)
    .describe("replace exports that exist; what else lies in their folders is moved to FOLDER.old-DATE"),
  ...exportOptionsShape,
});

/** Options as a caller writes them: everything with a default may be left out. */
export type ExportResultOptionsInput = z.input<typeof exportResultSchema>;
/** Resolved options. */
export type ExportResultOptions = z.output<typeof exportResultSchema>;

/** @throws OptionError that names the option, and the nearest valid name or value */
export function resolveExportOptions(given: UntypedOptions): ExportResultOptions {
  rejectUnknownKeys(exportResultSchema, given);
  const options = parseOptions(exportResultSchema, given);
  assertUsed(given, options.format);
  if (options.out === null && options.format.includes(formatNames[0])) {
    throw new OptionError({
      where: `--format ${formatNames[0]}`,
      what: "the result is in this format already",
      next: "give another folder with --out to have a copy, or leave the format out",
    });
  }
  return { ...options, format: [...new Set(options.format)] };
}
