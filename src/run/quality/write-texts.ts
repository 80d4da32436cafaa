import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import type { DecoderSpec } from "../../network/index.js";
import type { RecipeJob, RecipeResults } from "../../recipe/job/recipe-job.js";

/** Networks that write, one after the other: each is in memory as a whole. */
export interface TextsToWrite {
  /** The source model, with the options of the run. */
  readonly source: RecipeJob;
  readonly spec: DecoderSpec;
  /** What was quantized, which a rotation makes another model of. */
  readonly quantized: { readonly checkpoint: TensorReader; readonly spec: DecoderSpec };
  /** The codes that the run came to. */
  readonly results: RecipeResults;
  readonly tokenizer: Tokenizer;
  /** Whether the source writes rounded to nearest as well. */
  readonly nearest: boolean;
}
