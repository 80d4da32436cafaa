import { ModelError } from "../../errors.js";
import type { DecoderSpec } from "../../network/index.js";

/** Tokens per sequence where nothing else is asked for and the model was made for as many. */
export const DEFAULT_CONTEXT = 2048;

/** Tokens per sequence where nothing else is asked for: as many as all these models were made for, at most 2048. */
export function defaultContext(...specs: readonly Pick<DecoderSpec, "maxPositions">[]): number {
  return Math.min(DEFAULT_CONTEXT, ...specs.map(({ maxPositions }) => maxPositions));
}

/** @throws ModelError when the model was not made for sequences of `context` tokens */
export function requireContextOption(context: number, { maxPositions }: Pick<DecoderSpec, "maxPositions">): void {
  if (context <= maxPositions) return;
  throw new ModelError({
    where: 'option "context"',
    what: `sequences of ${context} tokens are longer than the model's ${maxPositions}`,
    next: `use --context ${maxPositions} or less`,
  });
}
