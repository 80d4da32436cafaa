import type { Value } from "../values.js";

/** Arguments of a call that are given by name. */
export type Named = ReadonlyMap<string, Value>;

/** A filter with a fixed list of parameters. */
export type Filter = readonly [
  parameters: readonly string[],
  required: number,
  run: (value: Value, args: readonly (Value | undefined)[]) => Value,
];

/** A filter that takes any arguments. */
export type OpenFilter = (value: Value, args: readonly Value[], named: Named) => Value;
