import { z } from "zod";
import { fragment } from "../fragment.js";
import { count } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const range = z.strictObject({
  search: z.boolean().default(true).describe("search the clipping that loses least, instead of the full range"),
  candidates: count.default(60).describe("clipping factors tried per group"),
});

const searching = setting<z.output<z.ZodObject<{ range: typeof range }>>>(
  "range.search=true",
  "range.search=true",
  (options) => options.range.search,
);

/** How the ranges of weights are chosen. */
export const rangeOptions = fragment(range.prefault({}).describe("how the ranges of weights are chosen"), {
  search: always,
  candidates: when(searching),
});

/** Clipping factors tried per group: one, the full range, where none is searched for. */
export function candidatesOf({ search, candidates }: z.output<typeof range>): number {
  return search ? candidates : 1;
}
