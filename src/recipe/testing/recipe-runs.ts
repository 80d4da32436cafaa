import type { RecipeName } from "../job/recipe-names.js";
import type { RecipeOptionsInput } from "../options/recipe-options.js";

const short = { window: { epochs: 2, batch: 3 }, endToEnd: { epochs: 2, batch: 3 } } as const;
// Ranges are looked for among few: what a run holds, keeps and continues from is the same.
const quick = { range: { candidates: 6 }, gptq: { widths: [1, 1.2] } } as const;
const code = { rounding: { start: "gptq" } } as const;
type RecipeRun = readonly [name: string, recipe: RecipeName, scheme: string, options: RecipeOptionsInput];

const runs: readonly RecipeRun[] = [
  ["rtn", "rtn", "W3A16g8", { finish: "none" }],
  ["rtn with static inputs", "rtn", "W4A8", { activation: { granularity: "tensor" }, finish: "none" }],
  ["gptq, then all scales", "gptq", "W3A16g8", { ...short, finish: "scales" }],
  ["cbq and its end-to-end training", "cbq", "W3A16g8", { ...short, ...code }],
  ["cbq from round to nearest", "cbq", "W3A16g8", { ...short, rounding: { start: "rtn" }, finish: "none" }],
  [
    "cbq with folded, static inputs and both branches",
    "cbq",
    "W4A4",
    {
      window: { ...short.window, secondBranch: true, size: 3, overlap: 2 },
      ...code,
      activation: { granularity: "tensor" },
      cfp: { weights: true, activations: true },
      finish: "none",
    },
  ],
  ["efficient-qat and its end-to-end training", "efficient-qat", "W3A16g8", { ...short, blockAp: { epochs: 2 } }],
  ["norm-tweaking", "norm-tweaking", "W3A16g8", {}],
  ["brecq by gradients", "brecq", "W3A16", { brecq: { epochs: 2, batch: 3, loss: "fisher" } }],
  [
    "affine-quant with static inputs",
    "affine-quant",
    "W4A4",
    { affine: { epochs: 2, batch: 3, secondBranch: true }, activation: { granularity: "tensor" } },
  ],
  [
    "cbq behind AffineQuant's transforms, with static inputs",
    "cbq",
    "W4A4",
    {
      ...short,
      transform: "affine",
      affine: { epochs: 2, batch: 3 },
      activation: { granularity: "tensor" },
      finish: "none",
    },
  ],
  ["boa", "boa", "W3A16g8", {}],
  ["aespa", "aespa", "W3A16g8", { aespa: { iterations: 20, zFold: 2 } }],
  ["l4q", "l4q", "W3A16g8", { l4q: { epochs: 2, batch: 3, pieces: 2 } }],
  ["cbq from BoA's codes", "cbq", "W3A16g8", { ...short, rounding: { start: "boa" }, finish: "none" }],
  ["cbq with LoRA-Rounding", "cbq", "W3A16g8", { ...short, rounding: { kind: "lora" }, finish: "none" }],
  ["slim", "slim", "W3A16g8", {}],
  [
    "slim with learnt ranges",
    "slim",
    "W2A16g8",
    { slim: { clipping: "learnt", epochs: 2, batch: 3, secondBranch: true } },
  ],
  [
    "slim with learnt clips, then all scales",
    "slim",
    "W2A16g8",
    {
      ...short,
      slim: { clipping: "learnt", codes: "nearest", epochs: 2, batch: 3, judge: "rounded" },
      finish: "scales",
    },
  ],
];

/** Short runs of every recipe that quantizes a language model window by window or as a whole. */
export const recipeRuns: readonly RecipeRun[] = runs.map(([name, recipe, scheme, options]) => [
  name,
  recipe,
  scheme,
  { ...quick, ...options },
]);
