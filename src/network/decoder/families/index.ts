import { deepseekV2, deepseekV3 } from "./experts/deepseek.js";
import { glm4Moe } from "./experts/glm4-moe.js";
import { gptOss } from "./experts/gpt-oss.js";
import { graniteMoe } from "./experts/granite-moe.js";
import { minimaxM2 } from "./experts/minimax-m2.js";
import { mixtral } from "./experts/mixtral.js";
import { qwen2Moe, qwen3Moe } from "./experts/qwen3-moe.js";
import type { Family } from "./family.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { opt } from "./opt.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";

const withExperts = [mixtral, qwen2Moe, qwen3Moe, graniteMoe, glm4Moe, gptOss, minimaxM2, deepseekV2, deepseekV3];

/** Every family that crossblock knows, by `model_type`. */
export const families: ReadonlyMap<string, Family> = new Map(
  [llama, mistral, qwen2, qwen3, opt, ...withExperts].map((family) => [family.modelType, family]),
);
