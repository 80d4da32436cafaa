import { expect, it } from "vitest";
import type { ExportResultInput } from "../../src/api/generated/export-result-input.js";
import type { PushInput } from "../../src/api/generated/push-input.js";
import type { QuantizeOptions } from "../../src/api/generated/quantize-options.js";
import type { VerifyInput } from "../../src/api/generated/verify-input.js";
import type { ExportResultOptionsInput } from "../../src/run/options/commands/export-result-options.js";
import type { PushOptionsInput } from "../../src/run/options/commands/push-options.js";
import type { VerifyOptionsInput } from "../../src/run/options/commands/verify-options.js";
import type { RunOptionsInput } from "../../src/run/options/options.js";

type Deep<T> = T extends readonly (infer E)[]
  ? readonly Deep<E>[]
  : T extends object
    ? { readonly [Key in keyof T]: Deep<T[Key]> }
    : T;
/** Whether two types are the same, optional keys and all; `Deep` lays intersections out and makes all of it readonly. */
type Same<A, B> = (<T>() => T extends Deep<A> ? 1 : 2) extends <T>() => T extends Deep<B> ? 1 : 2 ? true : false;

// tsc proves it (`npm run typecheck`); where it fails, `npm run pages` writes the types anew.
const same: {
  readonly quantize: Same<Omit<QuantizeOptions, "signal">, RunOptionsInput>;
  readonly export: Same<Omit<ExportResultInput, "signal">, ExportResultOptionsInput>;
  readonly verify: Same<Omit<VerifyInput, "signal">, VerifyOptionsInput>;
  readonly push: Same<Omit<PushInput, "signal">, PushOptionsInput>;
  /** The comparison itself tells types apart. */
  readonly less: Same<Omit<QuantizeOptions, "signal" | "samples">, RunOptionsInput>;
  readonly other: Same<{ readonly a?: number }, { readonly a: number }>;
} = { quantize: true, export: true, verify: true, push: true, less: false, other: false };

it("the written types of options are those of their schemas", () => {
  expect(Object.values(same)).toEqual([true, true, true, true, false, false]);
});
