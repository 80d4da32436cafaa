/** How much a run spends, from least to most. `normal` is what measures best for what it costs on a GPU. */
export const effortNames = ["quick", "normal", "best"] as const;
export type EffortName = (typeof effortNames)[number];

/** What a recipe sets at an effort beside the text, which every recipe reads: nothing at `normal`, whose values are the preset's. */
export type Efforts<V> = { readonly [Name in Exclude<EffortName, "normal">]?: V };
