import { deepseekV2, deepseekV3, glm4MoeLite, youtu } from "./experts/deepseek.js";
import { dots1 } from "./experts/dots1.js";
import { ernie45Moe } from "./experts/ernie4-5-moe.js";
import { exaoneMoe } from "./experts/exaone-moe.js";
import { glm4Moe, solarOpen } from "./experts/glm4-moe.js";
import { gptOss } from "./experts/gpt-oss.js";
import { graniteMoe, graniteMoeShared } from "./experts/granite-moe.js";
import { hunyuanMoe } from "./experts/hunyuan-moe.js";
import { llama4Text } from "./experts/llama4.js";
import { minimaxM2 } from "./experts/minimax-m2.js";
import { mixtral } from "./experts/mixtral.js";
import { flexOlmo, olmoe } from "./experts/olmoe.js";
import { phimoe } from "./experts/phimoe.js";
import { qwen2Moe, qwen3Moe } from "./experts/qwen3-moe.js";
import type { Family } from "./family.js";
import { gemma } from "./gemma/gemma.js";
import { gemma2, vaultGemma } from "./gemma/gemma2.js";
import { gemma3Text } from "./gemma/gemma3.js";
import { gemma4Text } from "./gemma/gemma4.js";
import { lfm2, lfm2Moe } from "./hybrid/lfm2.js";
import { qwen3Next, qwen35MoeText, qwen35Text } from "./hybrid/qwen3-5.js";
import { bloom } from "./layer-norm/bloom.js";
import { cohere, cohere2 } from "./layer-norm/cohere2.js";
import { gptNeox } from "./layer-norm/gpt-neox.js";
import { gpt2 } from "./layer-norm/gpt2.js";
import { jais2 } from "./layer-norm/jais2.js";
import { nemotron } from "./layer-norm/nemotron.js";
import { phi } from "./layer-norm/phi.js";
import { stablelm } from "./layer-norm/stablelm.js";
import { starcoder2 } from "./layer-norm/starcoder2.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { opt } from "./opt.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { apertus } from "./relatives/apertus.js";
import { arcee } from "./relatives/arcee.js";
import { ernie45 } from "./relatives/ernie4-5.js";
import { exaone4 } from "./relatives/exaone4.js";
import { glm, glm4 } from "./relatives/glm4.js";
import { granite } from "./relatives/granite.js";
import { helium } from "./relatives/helium.js";
import { hunyuanDense } from "./relatives/hunyuan.js";
import { hyperclovax } from "./relatives/hyperclovax.js";
import { cwm, exaone, internlm3, iquestCoder } from "./relatives/llama-like.js";
import { ministral, ministral3 } from "./relatives/ministral.js";
import { olmo2, olmo3 } from "./relatives/olmo2.js";
import { phi3 } from "./relatives/phi3.js";
import { seedOss } from "./relatives/seed-oss.js";
import { smollm3 } from "./relatives/smollm3.js";
import { qwen2VlText, qwen3VlMoeText, qwen3VlText, qwen25VlText } from "./towers/qwen-vl.js";

/** The families of LLaMA's form, with RMS norms. */
const ofRmsNorms = [
  ...[llama, mistral, ministral, ministral3, qwen2, qwen3, smollm3, granite, phi3, glm, glm4, olmo2, olmo3, exaone4],
  ...[seedOss, arcee, ernie45, helium, hunyuanDense, youtu, apertus],
  ...[internlm3, iquestCoder, exaone, cwm, hyperclovax],
];
const ofGemma = [gemma, gemma2, vaultGemma, gemma3Text, gemma4Text];
const ofLayerNorms = [opt, gpt2, gptNeox, bloom, phi, starcoder2, stablelm, nemotron, cohere, cohere2, jais2];
/** Most of their blocks are no attention. */
const hybrids = [qwen35Text, qwen3Next, qwen35MoeText, lfm2, lfm2Moe];

const withExperts = [
  mixtral,
  qwen2Moe,
  qwen3Moe,
  graniteMoe,
  glm4Moe,
  gptOss,
  minimaxM2,
  deepseekV2,
  deepseekV3,
  llama4Text,
  glm4MoeLite,
  dots1,
  olmoe,
  exaoneMoe,
  solarOpen,
  ernie45Moe,
  hunyuanMoe,
  phimoe,
  graniteMoeShared,
  flexOlmo,
];

/** Text networks of models of text and images that stand for no text model of their own. */
const towers = [qwen2VlText, qwen25VlText, qwen3VlText, qwen3VlMoeText];

/** Every family that crossblock knows, by `model_type`. */
export const families: ReadonlyMap<string, Family> = new Map(
  [...ofRmsNorms, ...ofGemma, ...ofLayerNorms, ...hybrids, ...withExperts, ...towers].map((family) => [
    family.modelType,
    family,
  ]),
);
