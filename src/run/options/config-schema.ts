import { z } from "zod";
import { recipeNames } from "../../recipe/job/recipe-names.js";
import { runOptionsSchema } from "./options.js";

/** A JSON schema, as an editor takes it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const options = runOptionsSchema.partial();

// `$schema` names this schema to the editor; what else may stand in a file is options, and sections for single recipes.
const configFile = options.extend({
  $schema: z.string().optional().describe("the schema that an editor checks this file by"),
  recipes: z
    .strictObject(Object.fromEntries(recipeNames.map((name) => [name, options.omit({ recipe: true }).optional()])))
    .optional()
    .describe("options that count where that recipe is chosen"),
});

/**
 * The JSON schema of the file after `--config`, made from the options' own schema: names, types, ranges, defaults and help.
 * Which options go together it does not know; the run checks that.
 */
export function configSchema(): JsonSchema {
  return {
    ...(z.toJSONSchema(configFile, { io: "input", reused: "ref" }) as JsonSchema),
    title: "crossblock quantize --config",
  };
}
