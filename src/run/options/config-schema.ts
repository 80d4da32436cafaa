import { z } from "zod";
import { recipeNames } from "../../recipe/job/recipe-names.js";
import { runOptionsSchema } from "./options.js";

/** A JSON schema, as an editor takes it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const toJson = (schema: z.ZodType): JsonSchema => z.toJSONSchema(schema, { io: "input" }) as JsonSchema;

/**
 * The JSON schema of the file after `--config`, made from the options' own schema: names, types, ranges, defaults and help.
 * `$schema` names it to an editor; what else may stand in a file is options, and sections for single recipes. Which options
 * go together it does not know; the run checks that.
 */
export function configSchema(): JsonSchema {
  const { $schema, ...file } = toJson(runOptionsSchema.partial());
  const { $schema: _, ...section } = toJson(runOptionsSchema.omit({ recipe: true }).partial());
  const sections = Object.fromEntries(recipeNames.map((name) => [name, { $ref: "#/$defs/section" }]));
  return {
    $schema,
    title: "crossblock quantize --config",
    ...file,
    properties: {
      $schema: { type: "string", description: "the schema that an editor checks this file by" },
      ...(file["properties"] as object),
      recipes: {
        type: "object",
        description: "options that count where that recipe is chosen",
        properties: sections,
        additionalProperties: false,
      },
    },
    $defs: { section },
  };
}
