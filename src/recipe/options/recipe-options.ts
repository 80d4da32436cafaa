import type { z } from "zod";
import type { Recipe } from "../recipe.js";
import { recipes } from "../recipes.js";
import type { Fragment, Fragments } from "./fragment.js";
import { type SharedShape, sharedFragments } from "./shared-options.js";

type Declared = (typeof recipes)[number]["options"];
/** Schemas of what recipes do not share. */
type OwnShape<D> = D extends Fragments
  ? { readonly [Key in Exclude<keyof D, keyof SharedShape>]: D[Key]["schema"] }
  : never;
type Intersection<U> = (U extends unknown ? (each: U) => void : never) extends (all: infer I) => void ? I : never;
type Shape = SharedShape & Intersection<OwnShape<Declared>>;

/**
 * Every option of the algorithms, in the order in which help lists them: what recipes share, then what only one reads.
 * Parsed alone it would take other defaults than a run: `resolveRecipeOptions` fills in what the schema leaves open.
 */
export const recipeOptionsShape = shapeOf(recipes) as Shape;

type Schema = z.ZodObject<Shape, z.core.$strict>;

/** Resolved options: every value present, those that only another recipe reads included. */
export type RecipeOptions = z.output<Schema>;

/** What a caller may leave out. */
export type RecipeOptionsInput = z.input<Schema>;

function shapeOf(all: readonly Recipe[]): Readonly<Record<string, z.ZodType>> {
  const found = new Map<string, z.ZodType>();
  const add = (name: string, { schema, help }: Fragment): void => {
    found.set(name, help === undefined ? schema : schema.describe(help(all)));
  };
  for (const [name, fragment] of Object.entries<Fragment>(sharedFragments)) add(name, fragment);
  for (const recipe of all) {
    for (const [name, fragment] of Object.entries(recipe.options)) {
      const other = Object.hasOwn(sharedFragments, name)
        ? sharedFragments[name as keyof SharedShape].schema
        : found.get(name);
      if (other === undefined) add(name, fragment);
      else if (other !== fragment.schema) throw new TypeError(`two recipes have an option "${name}" of their own`);
    }
  }
  return Object.fromEntries(found);
}
