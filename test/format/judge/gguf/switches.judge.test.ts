import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelConfig, readModelConfig } from "../../../../src/checkpoint/model-config.js";
import type { TensorInfo } from "../../../../src/checkpoint/tensor-reader.js";
import { CrossblockError } from "../../../../src/errors.js";
import { compareLogits } from "../../../../src/evaluate/compare-logits.js";
import type { ExportSource } from "../../../../src/format/contract/export-source.js";
import { modelShape } from "../../../../src/format/gguf/network/model-shape.js";
import { writeGguf } from "../../../../src/format/gguf/write.js";
import { sourceSpec } from "../../../../src/format/source/source-spec.js";
import { families, networkTensors, readSpec } from "../../../../src/network/index.js";
import { openLlamaCpp } from "../../../../src/run/verify/runtime/llama-cpp.js";
import { ourLogits, ourNetwork } from "../../our-network.js";
import { importLlamaCpp } from "../llama-cpp-package.js";
import { changed, goldenNames, goldens, writeTokenizer } from "./networks.js";

const llamaCpp = await importLlamaCpp();
const missing =
  llamaCpp === null
    ? " (skipped: node-llama-cpp is not installed)"
    : goldenNames.length === 0
      ? " (skipped: shared/goldens is not on this machine)"
      : "";
const only = process.env["CROSSBLOCK_JUDGE_GOLDEN"]?.split(",");
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-flags-"));
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A network of these numbers with weights of its own, in floating point. */
function madeUp(config: ModelConfig, folder: string, without: RegExp): ExportSource {
  const values = new Map<string, Float32Array>();
  const plain = new Map<string, TensorInfo>();
  for (const [name, shape] of networkTensors(readSpec(config))) {
    if (without.test(name)) continue;
    const count = shape.reduce((product, size) => product * size, 1);
    const width = shape.length > 1 ? 1.2 / Math.sqrt(shape.at(-1) ?? 1) : 0.2;
    const middle = shape.length === 1 && /norm.*weight$|ln_.*weight$|layer_scalar|scale$/.test(name) ? 1 : 0;
    let seed = [...name].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 2147483647, 7);
    const next = (): number => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    values.set(
      name,
      Float32Array.from({ length: count }, () => middle + width * (next() + next() + next() - 1.5) * 2),
    );
    plain.set(name, { name, dtype: "F32", shape, file: "model.safetensors", byteLength: 4 * count });
  }
  return {
    ...{ config, folder, linears: new Map(), plain, activations: null, inputScales: new Map() },
    readQuantized: () => Promise.reject(new Error("nothing is quantized")),
    readPlain: async (name) => new Uint8Array(values.get(name)?.buffer as ArrayBuffer),
  };
}

/** The first token with logits that are not near; the number of tokens where all are. */
function farFrom(theirs: Float32Array, ours: Float32Array, vocabulary: number): number {
  const far = theirs.findIndex((logit, i) => !(Math.abs(logit - (ours[i] ?? 0)) < 0.1));
  return far < 0 ? theirs.length / vocabulary : Math.floor(far / vocabulary);
}

type Switched = readonly [key: string, value: boolean | number, without: RegExp];

const NOTHING = /^$/;

/** Every switch that a family's configuration has, the other way, and heads that are together wider than the stream. */
function switches(config: ModelConfig): readonly Switched[] {
  const family = families.get(String(config["model_type"]));
  if (family === undefined) return [];
  const { attention, mlp, tied, arrangement } = family;
  const facts = [
    attention.qkvBias,
    attention.outBias,
    attention.qkNorm,
    attention.positionedNorm,
    mlp.bias,
    tied,
    arrangement,
  ];
  const keys = new Map(facts.flatMap((fact) => (typeof fact === "object" ? [[fact.key, fact.default] as const] : [])));
  const all = [...keys].map(([key, absent]): Switched => [key, !(config[key] ?? absent), NOTHING]);
  // One key may speak of all biases of attention, and a checkpoint have those of queries, keys and values alone.
  const wide: Switched[] = family.keys.headDim === null ? [] : [[family.keys.headDim, 32, NOTHING]];
  return [...wide, ...all].flatMap((each) =>
    each[0] === "attention_bias" && each[1] ? [each, [each[0], true, /o_proj\.bias$/]] : [each],
  );
}

describe.skipIf(missing !== "")(`llama.cpp loads what crossblock does not refuse${missing}`, () => {
  const known = goldenNames.filter(
    (name) => only?.includes(name) !== false && !/longrope|yarn|dynamic|k_eq_v/.test(name),
  );
  it.each(known)("%s, whatever its switches say", async (name) => {
    if (llamaCpp === null) return;
    const given = { ...(await readModelConfig(join(goldens, name))), ...changed[name] };
    const problems: string[] = [];
    for (const [key, value, without] of [["", false, NOTHING] as const, ...switches(given)]) {
      const config: ModelConfig = key === "" ? given : { ...given, [key]: value };
      const title = `${key} ${value}${without === NOTHING ? "" : " without biases of the output"}`;
      const folder = mkdtempSync(join(scratch, "model-"));
      writeFileSync(join(folder, "config.json"), JSON.stringify(config));
      const vocabulary = Number(config["vocab_size"]);
      writeTokenizer(folder, vocabulary);
      const path = join(folder, "model.gguf");
      try {
        const source = madeUp(config, folder, without);
        await writeGguf(source, path);
        const { contextLength } = modelShape(sourceSpec(source));
        const ids = Array.from({ length: Math.min(24, contextLength) }, (_, i) => (i * 37 + 5) % vocabulary);
        await using runtime = await openLlamaCpp(llamaCpp, path);
        using network = await ourNetwork(source);
        const [theirs, ours] = [await runtime.logits(ids, vocabulary), ourLogits(network, [ids])];
        const { divergence } = compareLogits(theirs, ours, ids);
        // The rounding of a cache in fp16 may send a token to other experts, and everything behind it sees that.
        const before = farFrom(theirs, ours, vocabulary);
        const routed = sourceSpec(source).blocks.some(({ mlp }) => mlp.kind === "experts");
        if (!(divergence < (routed ? 1e-2 : 1e-4)) || before < (routed ? 4 : ids.length)) {
          problems.push(`${title}: ${divergence}, far from token ${before} of ${ids.length} on`);
        }
      } catch (error) {
        if (error instanceof CrossblockError) {
          expect(error.next).toMatch(/--format/);
          console.log(name, title, String(error));
        } else problems.push(`${title}: ${String(error).slice(0, 200)}`);
      }
    }
    expect(problems).toEqual([]);
  });
});
