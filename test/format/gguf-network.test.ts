import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ModelConfig } from "../../src/checkpoint/model-config.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { compareKeys } from "../../src/format/gguf/network/compare/compare-keys.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { writeGguf } from "../../src/format/gguf/write.js";
import { type BlockSpec, type DecoderSpec, readSpec } from "../../src/network/index.js";
import { softmaxOf } from "../../src/network/testing/softmax-of.js";
import { rtnSource } from "./rtn-source.js";

let scratch = "";
let source: ExportSource & Disposable;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-network-"));
  source = await rtnSource("models/sotu-llama-7m", { schemeOf: () => ({ bits: 4, group: 32, symmetric: true }) });
});

afterAll(() => {
  source[Symbol.dispose]();
  rmSync(scratch, { recursive: true, force: true });
});

async function fileOf(change: ModelConfig): Promise<{ file: GgufFile; spec: DecoderSpec }> {
  const kept = ([name]: readonly [string, unknown]): boolean => !/\.layers\.[1-9]\./.test(name);
  const config = { ...source.config, num_hidden_layers: 1, ...change };
  const small = { ...source, linears: new Map([...source.linears].filter(kept)) };
  const path = join(scratch, "model.gguf");
  await writeGguf({ ...small, config, plain: new Map([...source.plain].filter(kept)) }, path);
  return { file: GgufFile.open(path), spec: readSpec(config) };
}

const rope = { rope_theta: 1e4, rope_type: "default" };
const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };

it.each([
  ["none", {}],
  ["linear", { rope_parameters: { ...rope, rope_type: "linear", factor: 4 } }],
  ["Llama 3's", { rope_parameters: { ...rope, ...llama3, original_max_position_embeddings: 64 } }],
  ["YaRN", { rope_parameters: { ...rope, rope_type: "yarn", factor: 4, original_max_position_embeddings: 256 } }],
])("scaling %s: the keys of a file give the network's frequencies again", async (_name, change) => {
  const { file, spec } = await fileOf(change);
  expect(compareKeys(file, spec)).toEqual({ name: "network", source: null, status: "same" });
  // The same file is not that of a network with another base, or with the scaling of another kind.
  const other = readSpec({ ...source.config, ...change, num_hidden_layers: 1, rope_theta: 2e4, rope_parameters: null });
  expect(compareKeys(file, other)).toMatchObject({ status: "different", detail: expect.stringMatching(/base/) });
  const scaled = {
    ...source.config,
    num_hidden_layers: 1,
    rope_parameters: { ...rope, rope_type: "linear", factor: 3 },
  };
  expect(compareKeys(file, readSpec(scaled)).status).toBe("different");
  file.close();
});

it("names every size that is not the network's", async () => {
  const { file, spec } = await fileOf({});
  const [block] = spec.blocks as [BlockSpec];
  const attention = softmaxOf(spec);
  const changed = (other: Partial<BlockSpec>): Partial<DecoderSpec> => ({ blocks: [{ ...block, ...other }] });
  const changes: readonly [Partial<DecoderSpec>, RegExp][] = [
    [{ finalNorm: { ...spec.finalNorm, eps: 2e-5 } }, /epsilon of the norms is \S+ instead of 0.00002/],
    [{ maxPositions: 512 }, /context is 1024 instead of 512/],
    [changed({ attention: { ...attention, slidingWindow: 128 } }), /context is 1024 instead of 128/],
    [changed({ attention: { ...attention, kvHeads: 1 } }), /key-value heads is \d+ instead of 1/],
    [changed({ mlp: { ...block.mlp, width: 5 } }), /width of the MLP/],
    [{ vocabSize: 5 }, /vocabulary is 4096 instead of 5/],
    [{ tied: false }, /output matrices is 0 instead of 1/],
    [{ blocks: [block, block] }, /number of blocks is 1 instead of 2/],
  ];
  for (const [change, detail] of changes) {
    expect(compareKeys(file, { ...spec, ...change }).detail).toMatch(detail);
  }
  file.close();
});
