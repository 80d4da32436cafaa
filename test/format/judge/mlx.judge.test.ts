import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../../../src/checkpoint/model-config.js";
import { compareLogits } from "../../../src/evaluate/compare-logits.js";
import { writeAwq } from "../../../src/format/awq/write.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { checkMlx } from "../../../src/format/mlx/check.js";
import { dequantize } from "../../../src/format/mlx/decode.js";
import { MLX_FAMILIES } from "../../../src/format/mlx/families.js";
import { openMlxFolder } from "../../../src/format/mlx/read.js";
import { writeMlx } from "../../../src/format/mlx/write.js";
import { ourLogits, ourNetwork } from "../our-network.js";
import { dequantized, type RtnScheme, roundedOnce, rtnSource, widened } from "../rtn-source.js";
import { towerSource, towers } from "../source/tower-source.js";
import { missingPackage, mlxPython } from "./judge.js";
import { judgedByMlx } from "./mlx-judge.js";

const missing = missingPackage("mlx_lm", mlxPython);
const goldens = process.env["CROSSBLOCK_GOLDENS"] ?? join(import.meta.dirname, "../../../../shared/goldens");
const ids = Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % 96);
/** For networks with a window of 16 tokens that mlx-lm does not have. */
const fewIds = ids.slice(0, 16);
/**
 * gpt-oss's positions are stretched by bounds that mlx-lm rounds, LongRoPE's by the long factors whatever the context; and it reads the
 * pattern of EXAONE's windows in letters, as its checkpoints have it.
 */
const changed: Readonly<Record<string, ModelConfig>> = {
  gpt_oss: { rope_parameters: { rope_theta: 150000, rope_type: "default" } },
  exaone4: { sliding_window_pattern: "LLLG" },
  phi3_longrope: { rope_parameters: { rope_theta: 10000, rope_type: "default" } },
};
/** Models of text and images whose text mlx-lm does not load either. */
const unloadable: ReadonlySet<string> = new Set(["idefics3", "smolvlm", "llava_next"]);
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-mlx-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** The weights of its quantized modules there, and logits. */
async function judged(folder: string): Promise<Map<string, Float32Array>> {
  using stored = await Checkpoint.open(`${folder}-judged`);
  const tensors = new Map<string, Float32Array>();
  for (const { name, dtype } of stored.tensors.values()) {
    tensors.set(name, floatsFromBytes(await stored.read(name), dtype, name));
  }
  return tensors;
}

async function expectWeights(folder: string): Promise<void> {
  const tensors = await judged(folder);
  using written = await openMlxFolder(folder);
  expect(tensors.size).toBe(written.modules.size + 1);
  for (const module of written.modules.keys()) {
    expect(tensors.get(`${module}.weight`), module).toEqual(dequantize(await written.readAffine(module)));
  }
}

async function expectLogits(folder: string, source: ExportSource, given = ids): Promise<void> {
  const found = (await judged(folder)).get("logits") ?? new Float32Array();
  using network = await ourNetwork(source);
  const ours = ourLogits(network, [given]);
  expect(found.length, folder).toBe(ours.length);
  const { largestDifference, divergence } = compareLogits(found, ours, given);
  console.log(folder.split("/").at(-1), largestDifference, divergence);
  expect(divergence, folder).toBeLessThan(1e-6);
  expect(largestDifference, folder).toBeLessThan(5e-3);
}

async function expectAll(folder: string, source: ExportSource, given: readonly number[]): Promise<void> {
  using written = await openMlxFolder(folder);
  for await (const check of checkMlx(written, source, "exact")) expect(check.status, check.name).toBe("same");
  await expectWeights(folder);
  await expectLogits(folder, source, [...given]);
}

describe.skipIf(missing !== "")(`mlx-lm reads what crossblock writes${missing}`, () => {
  const schemes: Readonly<Record<string, RtnScheme>> = Object.fromEntries([
    ...[2, 3, 4, 5, 6, 8].map((bits) => [`W${bits} g32 asym`, { bits, group: 32, symmetric: false }] as const),
    ...[2, 3, 4, 5, 6, 8].map((bits) => [`W${bits} g64`, { bits, group: 64, symmetric: true }] as const),
    ["W4 channel", { bits: 4, group: null, symmetric: true }],
  ]);

  it("every width: the same weights to the bit, and our logits", async () => {
    const sources = new Map<string, ExportSource>();
    for (const [name, scheme] of Object.entries(schemes)) {
      const folder = join(scratch, name.replaceAll(" ", "-"));
      const rounded = await rtnSource("models/sotu-llama-7m", {
        schemeOf: (module) => (module.includes("layers.1.mlp") ? null : scheme),
      });
      const source = roundedOnce(widened(rounded));
      expect(await writeMlx(source, folder)).toEqual([]);
      sources.set(folder, source);
    }
    const errors = judgedByMlx([...sources.keys()], ids);
    for (const [folder, source] of sources) {
      expect(errors.get(folder), folder).toBeNull();
      await expectWeights(folder);
      await expectLogits(folder, source);
    }
  });

  it("AWQ, which mlx-lm converts as it loads", async () => {
    const folder = join(scratch, "awq");
    using rounded = await rtnSource("models/sotu-llama-7m", {
      schemeOf: () => ({ bits: 4, group: 64, symmetric: true }),
    });
    const source = roundedOnce(rounded);
    await writeAwq(source, folder);
    expect(judgedByMlx([folder], ids).get(folder)).toBeNull();
    const tensors = await judged(folder);
    for (const module of source.linears.keys()) {
      // Of zeros mlx-lm makes none with a minus.
      const values = dequantized(await source.readQuantized(module)).map((value) => value + 0);
      expect(tensors.get(`${module}.weight`), module).toEqual(values);
    }
  });

  const names = existsSync(goldens)
    ? readdirSync(goldens).filter((name) => existsSync(join(goldens, name, "config.json")))
    : [];
  const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"]?.split(",");
  const title = `networks of every family${names.length === 0 ? " (skipped: they are not on this machine)" : ""}`;
  it.skipIf(names.length === 0)(title, async () => {
    const sources = new Map<string, ExportSource>();
    const few = new Set<string>();
    for (const name of names) {
      const given = await readModelConfig(join(goldens, name));
      const family = MLX_FAMILIES[String(given["model_type"])];
      if (family === undefined || family.inside === true || name === "gpt_neox" || only?.includes(name) === false)
        continue;
      const folder = join(scratch, name);
      const rounded = await rtnSource(join(goldens, name), {
        // Those that read 48 or 24 channels fit no group, and DeepSeek-V3's mlx-lm rounds again.
        schemeOf: (module) =>
          /down_proj|w2$|q_b_proj|kv_b_proj/.test(module) ? null : { bits: 4, group: 32, symmetric: true },
      });
      const source = roundedOnce(widened({ ...rounded, config: { ...rounded.config, ...changed[name] } }));
      await writeMlx(source, folder);
      sources.set(folder, source);
      if (family.windowless === true) few.add(folder);
    }
    for (const [title, tower] of Object.entries(towers)) {
      const { golden, type } = tower;
      if (only?.includes(type) === false || !names.includes(golden)) continue;
      const folder = join(scratch, title.replaceAll(/\W+/g, "-"));
      const rounded = await rtnSource(join(goldens, golden), {
        schemeOf: (module) => (/down_proj/.test(module) ? null : { bits: 4, group: 32, symmetric: true }),
      });
      const source = roundedOnce(
        towerSource(widened({ ...rounded, config: { ...rounded.config, ...changed[title] } }), tower),
      );
      if (unloadable.has(type)) {
        await expect(writeMlx(source, folder)).rejects.toThrow(
          /mlx-lm does not load models of the type.*Next: use --format/,
        );
        continue;
      }
      await writeMlx(source, folder);
      sources.set(folder, source);
      if (/mistral|qwen2/.test(golden)) few.add(folder);
    }
    const errors = new Map([
      ...judgedByMlx(
        [...sources.keys()].filter((folder) => !few.has(folder)),
        ids,
      ),
      ...judgedByMlx([...few], fewIds),
    ]);
    const problems: string[] = [];
    for (const [folder, source] of sources) {
      const error = errors.get(folder);
      if (error !== null) problems.push(`${folder}: ${error}`);
      else {
        await expectAll(folder, source, few.has(folder) ? fewIds : ids).catch((wrong: Error) =>
          problems.push(`${folder}: ${wrong.message.slice(0, 200)}`),
        );
      }
    }
    expect(problems).toEqual([]);
  });
});
