/** A short run of every recipe of language models: a name, then options of `crossblock quantize` beside model, text and place. */
export const recipeRuns: readonly (readonly [name: string, ...given: string[]])[];
