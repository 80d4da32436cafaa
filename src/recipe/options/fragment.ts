import type { z } from "zod";
import type { Recipe } from "../recipe.js";
import type { UntypedOptions } from "./merge-options.js";
import type { Reading } from "./reading.js";

/** When options are read: one reading for all of a group, or those of its options; what is left out is not read. */
export type Readings<T> =
  | Reading
  | (T extends readonly unknown[]
      ? never
      : T extends object
        ? { readonly [Key in keyof T]?: Readings<T[Key]> }
        : never);

/** Defaults that another option's value brings with it, whatever the preset. */
export interface DependentDefaults {
  /** Dotted name of that option, and its value. */
  readonly option: string;
  readonly value: string;
  readonly defaults: UntypedOptions;
}

/** A group of options, or a single one, that a recipe declares: what it takes, and when it is read. */
export interface Fragment<S extends z.ZodType = z.ZodType, R = unknown> {
  readonly schema: S;
  readonly readings: R;
  readonly dependentDefaults?: readonly DependentDefaults[];
  /** Help that depends on what recipes there are; the schema has it otherwise. */
  help?(recipes: readonly Recipe[]): string;
}

/** Options by the name of their group. */
export type Fragments = Readonly<Record<string, Fragment>>;

/** The values that a recipe sees of what it declares. */
export type ValuesOf<D extends Fragments> = { readonly [Key in keyof D]: FragmentValue<D[Key]> };

/** What a caller may write of it. */
export type InputOf<D extends Fragments> = { readonly [Key in keyof D]?: z.input<D[Key]["schema"]> };

type FragmentValue<F> =
  F extends Fragment<infer S, infer R>
    ? R extends Reading
      ? z.output<S>
      : Pick<z.output<S>, keyof R & keyof z.output<S>>
    : never;

/** Declares a group of options, or a single one. */
export function fragment<S extends z.ZodType, R extends Readings<z.output<S>>>(
  schema: S,
  readings: R,
  more: Pick<Fragment<S, R>, "dependentDefaults" | "help"> = {},
): Fragment<S, R> {
  return { schema, readings, ...more };
}

/** The same options for a recipe that reads only some of them, or under other conditions. */
export function part<S extends z.ZodType, R extends Readings<z.output<S>>>(
  whole: Fragment<S>,
  readings: R,
): Fragment<S, R> {
  return { ...whole, readings };
}
