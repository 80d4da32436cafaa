import type { Recipe } from "../recipe.js";

/** What a recipe says of its windows that has none: it trains the whole network at once, in `stages`. */
export const noWindows = {
  hasWindows: false,
  windows: () => [],
  chain: () => ({ input: "quantized", targets: [] }),
  prepare: () => undefined,
  *solve(): ReturnType<Recipe["solve"]> {
    yield* [];
    return true;
  },
} as const satisfies Partial<Recipe>;
