import { aespa } from "./aespa.js";
import { affineQuant } from "./affine-quant.js";
import { boa } from "./boa.js";
import { brecq } from "./brecq.js";
import { cbq } from "./cbq.js";
import { efficientQat } from "./efficient-qat.js";
import { gptq } from "./gptq.js";
import { kurtosis } from "./kurtosis.js";
import { l4q } from "./l4q.js";
import { normTweakingRecipe } from "./norm-tweaking.js";
import { rtn } from "./rtn.js";
import { slim } from "./slim.js";
import { tfmq } from "./tfmq.js";

/** The methods that there are: a recipe is one file, and one line here. Help and messages name them in this order. */
export const recipes = [
  rtn,
  gptq,
  slim,
  boa,
  aespa,
  normTweakingRecipe,
  affineQuant,
  kurtosis,
  l4q,
  tfmq,
  efficientQat,
  brecq,
  cbq,
] as const;
