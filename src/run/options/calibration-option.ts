import { z } from "zod";
import { isScript } from "../../calibration/self-generated/first-tokens.js";
import { OptionError } from "../../errors.js";
import { type ReadCondition, setting } from "../../recipe/options/reading.js";
import { oneOrMany } from "./parse/one-or-many.js";
import { pathOption } from "./parse/path-option.js";

/** What stands in the place of a path for text that the model writes itself. A file of this name is `./self-generated`. */
export const selfGenerated = "self-generated";

const source = z.union([
  z.literal(selfGenerated),
  // What `..` behind a link leads to may have that name; a path stays one.
  pathOption.overwrite((path) => (path === selfGenerated ? `./${path}` : path)),
]);

/** Where calibration text comes from. */
export const calibrationOption = oneOrMany(source)
  .default([])
  .describe(
    `text files or folders: .txt (a document each), .jsonl, .json, .parquet; or ${selfGenerated}: sequences that the model makes up (a file of that name is ./${selfGenerated})`,
  );

const generation = z.strictObject({
  temperature: z
    .number()
    .positive()
    .default(1)
    .describe("what the logits are divided by before a token is drawn; below 1 likely tokens become likelier"),
  greedy: z
    .int()
    .min(0)
    .default(4)
    .describe("likeliest tokens that follow the first of a sequence, before any is drawn"),
  scripts: oneOrMany(
    z.string().refine(isScript, {
      error: "is no script of Unicode",
      params: { next: `use Unicode's names of scripts: --set 'selfGenerated.scripts=["Latin"]'` },
    }),
  )
    .default(["Latin"])
    .describe(
      'scripts of the languages that a sequence may begin in, as Unicode names them: ["Latin", "Han"]; [] lets any token be the first',
    ),
  batch: z.int().min(1).nullable().default(null).describe("sequences that grow at once; null chooses what fits"),
});

/** How the model makes up text. */
export const generationOptions = generation.prefault({}).describe("how the model makes up its calibration text");

interface CalibrationGiven {
  readonly calibration: readonly string[];
}

/** Whether the model makes its calibration text up. */
export function isSelfGenerated({ calibration }: CalibrationGiven): boolean {
  return calibration.includes(selfGenerated);
}

/** The files and folders that calibration text is read from. */
export function textPaths(options: CalibrationGiven): readonly string[] {
  return isSelfGenerated(options) ? [] : options.calibration;
}

/** @throws OptionError for text of both kinds */
export function checkCalibration(options: CalibrationGiven): void {
  const { calibration } = options;
  if (!isSelfGenerated(options) || calibration.length === 1) return;
  throw new OptionError({
    where: 'option "calibration"',
    what: `${selfGenerated} does not go with other text`,
    next: `give --calibration ${selfGenerated} alone, or paths alone (./${selfGenerated} for a file of that name)`,
  });
}

/** The model makes its text up. */
export const withSelfGenerated: ReadCondition = {
  ...setting<CalibrationGiven>("", "", isSelfGenerated),
  text: `--calibration ${selfGenerated}`,
  action: `give --calibration ${selfGenerated}`,
};
