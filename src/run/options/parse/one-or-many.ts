import { z } from "zod";

/** What a list of options is made from: one of them, or several. */
export type OneOrMany<T> = T | readonly T[];

/** A list of options that a single one may stand for: `"texts"` is `["texts"]`. */
export function oneOrMany<T extends z.ZodType>(
  element: T,
  { least = 0 }: { readonly least?: number } = {},
): z.ZodType<z.output<T>[], OneOrMany<z.input<T>>> {
  return z.union([z.array(element).min(least), element.transform((value) => [value])]) as z.ZodType<
    z.output<T>[],
    OneOrMany<z.input<T>>
  >;
}
