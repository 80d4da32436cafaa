import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { Checkpoint } from "../../../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../../../checkpoint/model-config.js";
import { checkpointSource, readModel } from "../../../index.js";
import { compareGolden } from "../../../testing/compare-golden.js";
import { openGolden, sharedGoldens } from "../../../testing/shared-goldens.js";

describe.each([
  "mixtral",
  "qwen2_moe",
  "qwen3_moe",
  "granitemoe",
  "glm4_moe",
  "gpt_oss",
  "minimax_m2",
  "deepseek_v2",
  "deepseek_v3",
])("%s, as transformers saved it", (family) => {
  const folder = join(sharedGoldens, family);

  it.skipIf(!existsSync(folder))(
    "has its logits and hidden states, whole and with a cache (skipped where ../shared/goldens is not)",
    async () => {
      using stored = await Checkpoint.open(folder);
      using golden = await openGolden(folder);
      const { spec, checkpoint } = readModel(await readModelConfig(folder), stored);
      const placement = { device: "cpu", dtype: "float32" } as const;
      compareGolden(checkpointSource(checkpoint, placement), spec, golden, { lastHidden: true });
    },
  );
});
