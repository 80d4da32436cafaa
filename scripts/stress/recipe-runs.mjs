/**
 * A short run of every recipe of language models, as the command line takes it: a name, then options of `crossblock quantize` beside
 * model, text and place. Codes have groups of 32 and, but for SliM-LLM's, four bits, which every format holds.
 * @type {readonly (readonly [name: string, ...given: string[]])[]}
 */
export const recipeRuns = [
  ["rtn", "--recipe", "rtn", "--scheme", "W4A16g32"],
  ["gptq", "--recipe", "gptq", "--scheme", "W4A16g32", "--asym"],
  ["slim", "--recipe", "slim", "--scheme", "W3A16g32"],
  ["boa", "--recipe", "boa", "--scheme", "W4A16g32"],
  ["aespa", "--recipe", "aespa", "--scheme", "W4A16g32", "--asym", "--set", "aespa.iterations=20"],
  ["norm-tweaking", "--recipe", "norm-tweaking", "--scheme", "W4A16g32"],
  ["affine-quant", "--recipe", "affine-quant", "--scheme", "W4A16g32", "--set", "affine.epochs=2"],
  ["l4q", "--recipe", "l4q", "--scheme", "W4A16g32", "--asym", "--set", "l4q.epochs=2"],
  [
    "efficient-qat",
    ...["--recipe", "efficient-qat", "--scheme", "W4A16g32", "--asym"],
    ...["--set", "blockAp.epochs=1", "endToEnd.epochs=1"],
  ],
  ["kurtosis", "--recipe", "kurtosis", "--scheme", "W4A16g32", "--set", "kurtosis.epochs=1", "kurtosis.parts=3"],
  ["cbq", "--recipe", "cbq", "--scheme", "W4A16g32", "--set", "window.epochs=1", "endToEnd.epochs=2"],
];
