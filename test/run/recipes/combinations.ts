import type { QuantizeOptions } from "../../../src/api/quantize.js";
import type { SmallLlama } from "../../fixtures/prepared/small-llama.js";

/** Models of the combinations. */
export const models = {
  dense: {},
  experts: { experts: 4 },
  // One head of keys and values for all four of queries, biases, an output matrix of its own.
  grouped: { biases: true, keyHeads: 1, tied: false },
} as const satisfies Record<string, SmallLlama>;
export type Model = keyof typeof models;

/** A run without its place. */
export type Given = Omit<QuantizeOptions, "model" | "out">;

const tensor = { activation: { granularity: "tensor" } } as const;
const ends = { endToEnd: { epochs: 1 } } as const;
const windows = { window: { epochs: 2 }, ...ends } as const;
const affine = { epochs: 2 } as const;

/** What goes together: in words, the model, what is asked for. */
export const works: readonly (readonly [what: string, model: Model, options: Given])[] = [
  [
    "rotation, rtn, all scales",
    "dense",
    { recipe: "rtn", scheme: "W3A16g32", rotation: "hadamard", finish: "scales", ...ends },
  ],
  [
    "rotation, gptq, bits per Linear, all scales",
    "dense",
    { recipe: "gptq", scheme: "W3A16g32", bitsBudget: 2.6, rotation: "hadamard", finish: "scales", ...ends },
  ],
  ["bits per Linear, boa, quantized inputs", "grouped", { recipe: "boa", scheme: "W3A8g32", bitsBudget: 2.6 }],
  [
    "rotation, boa, quantized inputs, all scales",
    "dense",
    { recipe: "boa", scheme: "W4A4", rotation: "hadamard", finish: "scales", ...ends },
  ],
  [
    "Z-Fold, aespa from gptq, static inputs, all scales",
    "dense",
    {
      recipe: "aespa",
      scheme: "W4A8g32",
      aespa: { iterations: 20, start: "gptq" },
      finish: "scales",
      ...ends,
      ...tensor,
    },
  ],
  [
    "rotation, Z-Fold, aespa, bits per Linear",
    "grouped",
    {
      recipe: "aespa",
      scheme: "W3A16g32",
      asym: true,
      bitsBudget: 2.6,
      rotation: "hadamard",
      aespa: { iterations: 20 },
    },
  ],
  [
    "rotation, norm-tweaking, quantized inputs, all scales",
    "dense",
    { recipe: "norm-tweaking", scheme: "W4A4", rotation: "hadamard", finish: "scales", ...ends },
  ],
  [
    "rotation, affine-quant, all scales with clips",
    "dense",
    { recipe: "affine-quant", scheme: "W4A4", rotation: "hadamard", finish: "scales", affine, ...ends },
  ],
  [
    "matrices behind norms, rotated, bits per Linear",
    "grouped",
    {
      recipe: "affine-quant",
      scheme: "W4A4",
      rotation: "hadamard",
      bitsBudget: 3.5,
      affine: { ...affine, norms: "matrix" },
    },
  ],
  [
    "rotation, l4q, bits per Linear, all scales on the text",
    "dense",
    {
      recipe: "l4q",
      scheme: "W3A16g32",
      asym: true,
      bitsBudget: 2.6,
      rotation: "hadamard",
      l4q: { epochs: 1 },
      finish: "scales",
      endToEnd: { epochs: 1, loss: "next-token" },
    },
  ],
  [
    "rotation, efficient-qat, bits per Linear, static inputs",
    "dense",
    {
      recipe: "efficient-qat",
      scheme: "W3A8g32",
      bitsBudget: 2.6,
      rotation: "hadamard",
      blockAp: { epochs: 1 },
      endToEnd: { epochs: 1 },
      ...tensor,
    },
  ],
  [
    "rotation, affine, cbq from boa, windows of two, all scales",
    "dense",
    {
      recipe: "cbq",
      scheme: "W4A4",
      rotation: "hadamard",
      transform: "affine",
      affine,
      rounding: { start: "boa" },
      ...windows,
    },
  ],
  [
    "affine, LoRA-Rounding, both branches, static inputs",
    "dense",
    {
      recipe: "cbq",
      scheme: "W4A4",
      transform: "affine",
      affine,
      rounding: { kind: "lora" },
      window: { epochs: 4, secondBranch: true, size: 1, overlap: 0 },
      finish: "none",
      ...tensor,
    },
  ],
  [
    "outliers folded, cbq from rtn, bits per Linear",
    "dense",
    {
      recipe: "cbq",
      scheme: "W3A16g32",
      bitsBudget: 2.6,
      cfp: { weights: true, activations: true },
      rounding: { start: "rtn" },
      ...windows,
    },
  ],
  [
    "rotation, affine, cbq from boa, bits per Linear",
    "grouped",
    {
      recipe: "cbq",
      scheme: "W3A8g32",
      bitsBudget: 2.6,
      rotation: "hadamard",
      transform: "affine",
      affine,
      rounding: { start: "boa" },
      ...windows,
    },
  ],
  [
    "rotation, bits per group, learnt ranges, all scales",
    "dense",
    {
      recipe: "slim",
      scheme: "W2A16g16",
      rotation: "hadamard",
      slim: { clipping: "learnt", epochs: 2 },
      finish: "scales",
      ...ends,
    },
  ],
  ["bits per group and per Linear", "dense", { recipe: "slim", scheme: "W3A16g16", bitsBudget: 2.6 }],
  [
    "experts, gptq, bits per Linear, all scales",
    "experts",
    { recipe: "gptq", scheme: "W3A16g32", bitsBudget: 2.6, finish: "scales", ...ends },
  ],
  [
    "experts, affine, cbq from boa, quantized inputs",
    "experts",
    {
      recipe: "cbq",
      scheme: "W4A4",
      transform: "affine",
      affine,
      rounding: { start: "boa" },
      experts: "all",
      ...windows,
    },
  ],
  [
    "experts, Z-Fold, aespa, static inputs",
    "experts",
    { recipe: "aespa", scheme: "W4A8g32", aespa: { iterations: 20 }, ...tensor },
  ],
  [
    "experts, norm-tweaking, bits per Linear",
    "experts",
    { recipe: "norm-tweaking", scheme: "W3A16g32", bitsBudget: 2.6 },
  ],
  [
    "experts, efficient-qat, quantized inputs",
    "experts",
    { recipe: "efficient-qat", scheme: "W4A4", blockAp: { epochs: 1 }, endToEnd: { epochs: 1 } },
  ],
  ["experts, affine-quant, quantized inputs", "experts", { recipe: "affine-quant", scheme: "W4A4", affine }],
];

/** What does not, and what the message says to do instead. */
export const refused: readonly (readonly [what: string, model: Model, options: Given, message: RegExp])[] = [
  [
    "codes that a soft rounding does not start from",
    "dense",
    { recipe: "cbq", scheme: "W3A16g32", rounding: { kind: "lora", start: "boa" } },
    /rounding.kind=code or --set rounding.start=rtn/,
  ],
  [
    "two choices of the same scales",
    "dense",
    { recipe: "cbq", scheme: "W4A4", transform: "affine", cfp: { activations: true } },
    /cfp.activations=false or --set transform=none/,
  ],
  ["a transform of another recipe", "dense", { recipe: "gptq", scheme: "W4A4", transform: "affine" }, /cbq/],
  [
    "what a text has taught, forgotten",
    "dense",
    { recipe: "l4q", scheme: "W3A16g32", finish: "scales" },
    /leave out --finish scales/,
  ],
  [
    "static inputs that are not measured",
    "dense",
    { recipe: "l4q", scheme: "W4A8g32", ...tensor },
    /activation.granularity=token/,
  ],
  ["bits per group of one group", "dense", { recipe: "slim", scheme: "W3A8" }, /--scheme W3A8g64.*--recipe gptq/],
  ["bits per group of stacks", "experts", { recipe: "slim", scheme: "W3A16g32" }, /--recipe gptq or cbq/],
  ["low-rank terms of stacks", "experts", { recipe: "l4q", scheme: "W3A16g32" }, /--recipe gptq or cbq/],
  ["stacks that are not rotated", "experts", { recipe: "cbq", scheme: "W4A4", rotation: "hadamard" }, /rotation=none/],
  [
    "matrices in formats that have none",
    "dense",
    { recipe: "affine-quant", scheme: "W4A16g32", affine: { norms: "matrix" }, format: ["gguf"] },
    /affine.norms=diagonal|compressed-tensors/,
  ],
  ["a budget above the scheme", "dense", { recipe: "gptq", scheme: "W2A16g32", bitsBudget: 3 }, /--scheme W3A16g32/],
];
