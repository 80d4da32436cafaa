import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../../../src/checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../../../../src/checkpoint/model-config.js";
import { CrossblockError } from "../../../../src/errors.js";
import { compareLogits } from "../../../../src/evaluate/compare-logits.js";
import { floatsFromBytes } from "../../../../src/format/bits/float-bytes.js";
import type { ExportSource } from "../../../../src/format/contract/export-source.js";
import { MLX_FAMILIES } from "../../../../src/format/mlx/families.js";
import { writeMlx } from "../../../../src/format/mlx/write.js";
import { ourLogits, ourNetwork } from "../../our-network.js";
import { missingPackage, mlxPython } from "../judge.js";
import { judgedByMlx } from "../mlx-judge.js";
import { madeUp, NOTHING, rounded, switches } from "./made-up.js";
import { goldenNames, goldens } from "./networks.js";

const missing =
  goldenNames.length === 0 ? " (skipped: shared/goldens is not on this machine)" : missingPackage("mlx_lm", mlxPython);
const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"]?.split(",");
/** Within every window, beyond which some of mlx-lm's models see more. */
const ids = Array.from({ length: 9 }, (_, i) => (i * 37 + 5) % 96);
/** As mlx-lm reads them, where it reads numbers otherwise. */
const changed: Readonly<Record<string, ModelConfig>> = {
  gpt_oss: { rope_parameters: { rope_theta: 150000, rope_type: "default" } },
  exaone4: { sliding_window_pattern: "LLLG" },
  phi3_longrope: { rope_parameters: { rope_theta: 10000, rope_type: "default" } },
  gpt_neox: { intermediate_size: 256 },
};
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-mlx-switches-"));
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

async function theirLogits(folder: string): Promise<Float32Array> {
  using stored = await Checkpoint.open(`${folder}-judged`);
  return floatsFromBytes(await stored.read("logits"), stored.tensors.get("logits")?.dtype ?? "F32", "logits");
}

describe.skipIf(missing !== "")(`mlx-lm loads what crossblock does not refuse${missing}`, () => {
  it("every family, whatever its switches say", async () => {
    const sources = new Map<string, { readonly title: string; readonly source: ExportSource }>();
    for (const name of goldenNames) {
      const given = { ...(await readModelConfig(join(goldens, name))), ...changed[name] };
      const family = MLX_FAMILIES[String(given["model_type"])];
      if (family === undefined || family.inside === true || only?.includes(name) === false) continue;
      for (const [key, value, without] of [["", false, NOTHING] as const, ...switches(given)]) {
        // Its configuration has the width that turns twice, once as a share of a head.
        if (key === "head_dim" && given["model_type"] === "minimax_m2") continue;
        const config: ModelConfig = key === "" ? given : { ...given, [key]: value };
        const folder = mkdtempSync(join(scratch, "model-"));
        const out = `${folder}-mlx`;
        writeFileSync(join(folder, "config.json"), JSON.stringify(config));
        const source = rounded(madeUp(config, folder, without), /kv_b_proj/);
        const title = `${name}, ${key} ${value}${without === NOTHING ? "" : " without biases of the output"}`;
        try {
          await writeMlx(source, out);
          sources.set(out, { title, source });
        } catch (error) {
          if (!(error instanceof CrossblockError)) throw error;
          expect(error.next).toMatch(/--format|--set/);
          console.log(title, String(error));
        }
      }
    }
    const problems: string[] = [];
    for (const [folder, error] of judgedByMlx([...sources.keys()], ids)) {
      const { title, source } = sources.get(folder) as { title: string; source: ExportSource };
      if (error !== null) problems.push(`${title}: ${error.slice(0, 200)}`);
      else {
        using network = await ourNetwork(source);
        const { divergence } = compareLogits(await theirLogits(folder), ourLogits(network, [ids]), ids);
        if (!(divergence < 1e-6)) problems.push(`${title}: ${divergence}`);
      }
    }
    expect(problems).toEqual([]);
  });
});
