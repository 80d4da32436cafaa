import { z } from "zod";
import { OptionError } from "../../../errors.js";
import { formatNames } from "../../../format/exporters.js";
import { oneOrMany } from "../parse/one-or-many.js";
import { parseOptions, rejectUnknownKeys, type UntypedOptions } from "../parse/parse-options.js";
import { pathOption } from "../parse/path-option.js";
import { revisionOption } from "../parse/revision-option.js";

/** Every option of `verify`: types, defaults and help come from here. */
export const verifySchema = z.strictObject({
  result: pathOption.describe("folder that quantize wrote, or owner/name where it is on the Hugging Face Hub"),
  revision: revisionOption,
  format: oneOrMany(z.enum(formatNames), { least: 1 })
    .nullable()
    .default(null)
    .describe("check exports of these formats only; null checks all that are found below the result"),
  export: oneOrMany(pathOption)
    .default([])
    .describe("exports elsewhere: a .gguf file, a folder of one format, or the --out of crossblock export"),
  model: pathOption
    .nullable()
    .default(null)
    .describe(
      "source model, a folder or owner/name of the hub; null takes the one that was quantized, where it still is",
    ),
  out: pathOption
    .nullable()
    .default(null)
    .describe("folder of the certificate; null takes the result's own, and writes none for a result of the hub"),
  runtimes: z
    .boolean()
    .default(true)
    .describe("check the files only, without logits of llama.cpp and onnxruntime where the project has them"),
  project: pathOption
    .nullable()
    .default(null)
    .describe("folder whose node_modules has the runtimes; null takes the working folder, then crossblock's own"),
  device: z
    .string()
    .regex(/^(auto|cpu|cuda:\d+)$/, "is no device: cpu, cuda:0, or auto")
    .default("cpu")
    .describe("where crossblock's own network computes the logits to compare with"),
});

/** Options as a caller writes them: everything with a default may be left out. */
export type VerifyOptionsInput = z.input<typeof verifySchema>;
/** Resolved options. */
export type VerifyOptions = z.output<typeof verifySchema>;

/** @throws OptionError that names the option, and the nearest valid name or value */
export function resolveVerifyOptions(given: UntypedOptions): VerifyOptions {
  rejectUnknownKeys(verifySchema, given);
  const options = parseOptions(verifySchema, given);
  const unread = (["device", "project"] as const).find((name) => given[name] !== undefined);
  if (options.runtimes || unread === undefined) return options;
  throw new OptionError({
    where: `option "${unread}"`,
    what: "only the comparison with runtimes reads it, and runtimes are left out",
    next: "leave it out, or leave out --no-runtimes",
  });
}
