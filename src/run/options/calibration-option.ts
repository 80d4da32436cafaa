import { z } from "zod";
import { isScript } from "../../calibration/self-generated/first-tokens.js";
import { type DatasetName, datasetNameOf, datasetPrefix } from "../../checkpoint/hub/dataset-name.js";
import { OptionError } from "../../errors.js";
import { type ReadCondition, setting } from "../../recipe/options/reading.js";
import { oneOrMany } from "./parse/one-or-many.js";
import { pathOption } from "./parse/path-option.js";

/** What stands in the place of a path for text that the model writes itself. A file of this name is `./self-generated`. */
export const selfGenerated = "self-generated";
/** The same for the text that comes with this package. */
export const bundled = "bundled";

const words = [selfGenerated, bundled] as const;

const source = z.union([
  z.literal(words),
  // What `..` behind a link leads to may have such a name; a path stays one. Names of data sets have no `..`.
  pathOption.overwrite((path) => (words.some((word) => word === path) ? `./${path}` : path)),
]);

/** Where calibration text comes from. */
export const calibrationOption = oneOrMany(source)
  .default([])
  .describe(
    [
      "text files or folders: .txt (a document each), .jsonl, .json, .parquet with a field text or messages a record",
      "hub:owner/name[:split][:column]: a data set of the Hugging Face Hub",
      `${selfGenerated}: sequences that the model makes up`,
      `${bundled}: prose, conversations and code that come with crossblock (a file of such a name is ./${bundled})`,
      "128 sequences of 2,048 tokens take about 1 MB of text; a run that needs text and was given none takes bundled",
    ].join("; "),
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
    .default(0)
    .describe("likeliest tokens that follow the first of a sequence, before any is drawn"),
  scripts: oneOrMany(
    z.string().refine(isScript, {
      error: "is no script of Unicode",
      params: { next: `use Unicode's names of scripts: --set 'selfGenerated.scripts=["Latin"]'` },
    }),
  )
    .nullable()
    .default(null)
    .describe(
      'scripts that a random first token is of, as Unicode names them: ["Latin", "Han"]; [] draws it from all tokens; null lets the model begin, as it would a document',
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

/** Whether the text that comes with the package is calibrated on. */
export function isBundled({ calibration }: CalibrationGiven): boolean {
  return calibration.includes(bundled);
}

/** Where text comes from, as events and records name it. */
export function textSource(options: CalibrationGiven): "files" | "hub" | "bundled" | "self-generated" {
  if (isSelfGenerated(options)) return selfGenerated;
  if (isBundled(options)) return bundled;
  return textDatasets(options).length > 0 ? "hub" : "files";
}

/** The files and folders that calibration text is read from. */
export function textPaths({ calibration }: CalibrationGiven): readonly string[] {
  return calibration.filter((each) => !words.some((word) => word === each) && !each.startsWith(datasetPrefix));
}

/** The data sets of the hub that calibration text is read from. */
export function textDatasets({ calibration }: CalibrationGiven): readonly DatasetName[] {
  return calibration.flatMap((each) => datasetNameOf(each) ?? []);
}

/** @throws OptionError for text of two kinds, and for a data set that is not well named */
export function checkCalibration({ calibration }: CalibrationGiven): void {
  const wrong = calibration.find((each) => each.startsWith(datasetPrefix) && datasetNameOf(each) === null);
  if (wrong !== undefined) {
    throw new OptionError({
      where: 'option "calibration"',
      what: `"${wrong}" does not name a data set of the Hugging Face Hub`,
      next: `write hub:owner/name, hub:owner/name:split or hub:owner/name:split:column; for a file of that name ./${wrong}`,
    });
  }
  const word = words.find((each) => calibration.includes(each));
  if (word === undefined || calibration.length === 1) return;
  throw new OptionError({
    where: 'option "calibration"',
    what: `${word} does not go with other text`,
    next: `give --calibration ${word} alone, or paths alone (./${word} for a file of that name)`,
  });
}

/** The model makes its text up. */
export const withSelfGenerated: ReadCondition = {
  ...setting<CalibrationGiven>("", "", isSelfGenerated),
  text: `--calibration ${selfGenerated}`,
  action: `give --calibration ${selfGenerated}`,
};
