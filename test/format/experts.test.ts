import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { writeCompressedTensors } from "../../src/format/compressed-tensors/write.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { checkGguf } from "../../src/format/gguf/check.js";
import { compareKeys } from "../../src/format/gguf/network/compare/compare-keys.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { writeGguf } from "../../src/format/gguf/write.js";
import { assertExpressible } from "../../src/format/onnx/graph/graph-block.js";
import { compareSources } from "../../src/format/source/compare-sources.js";
import { sourceSpec } from "../../src/format/source/source-spec.js";
import { tinyExperts, writeRandomModel } from "../../src/network/testing/tiny-experts.js";
import { ourLogits, ourNetwork } from "./our-network.js";
import { rtnSource } from "./rtn-source.js";

const tokenizer = "models/sotu-llama-7m";
const config = {
  ...tinyExperts,
  hidden_size: 64,
  intermediate_size: 96,
  moe_intermediate_size: 32,
  shared_expert_intermediate_size: 64,
  vocab_size: JSON.parse(readFileSync(join(tokenizer, "config.json"), "utf8")).vocab_size as number,
};

describe("a result with experts", () => {
  let folder = "";
  let source: ExportSource & Disposable;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "crossblock-experts-"));
    await writeRandomModel(folder, config);
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      copyFileSync(join(tokenizer, file), join(folder, file));
    }
    source = await rtnSource(folder, { schemeOf: () => ({ bits: 4, group: 32, symmetric: true }) });
  });
  afterAll(() => {
    source[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is a folder of compressed-tensors with a module for each Linear of each expert, and the same codes", async () => {
    const out = join(folder, "ct");
    await writeCompressedTensors(source, out);
    using checkpoint = await Checkpoint.open(out);
    const names = [...checkpoint.tensors.keys()];
    expect(names.filter((name) => name.startsWith("model.layers.1.mlp.experts.5."))).toEqual(
      ["down", "gate", "up"].flatMap((role) =>
        ["packed", "scale", "shape"].map((part) => `model.layers.1.mlp.experts.5.${role}_proj.weight_${part}`),
      ),
    );
    expect(checkpoint.tensors.get("model.layers.0.mlp.gate.weight")).toMatchObject({ shape: [6, 64], dtype: "F32" });
    const written = JSON.parse(readFileSync(join(out, "config.json"), "utf8")).quantization_config;
    expect(written.ignore).toEqual(
      expect.arrayContaining(["model.layers.0.mlp.gate", "model.layers.1.mlp.shared_expert_gate"]),
    );
    using opened = await openCompressedTensors(out);
    for await (const { name, status } of compareSources(opened, source)) expect([name, status]).toEqual([name, "same"]);
    using ours = await ourNetwork(source);
    using theirs = await ourNetwork(opened);
    const ids = [Array.from({ length: 12 }, (_, i) => (i * 37 + 5) % 200)];
    expect(ourLogits(theirs, ids)).toEqual(ourLogits(ours, ids));
  });

  it("is a GGUF file whose experts are tensors of three dimensions", async () => {
    const path = join(folder, "model.gguf");
    await writeGguf(source, path);
    const file = GgufFile.open(path);
    expect(file.tensors.get("blk.1.ffn_gate_exps.weight")).toMatchObject({ shape: [6, 32, 64], type: "Q4_0" });
    expect(file.tensors.get("blk.0.ffn_down_exps.weight")).toMatchObject({ shape: [6, 64, 32], type: "Q4_0" });
    expect(file.tensors.get("blk.0.ffn_gate_inp.weight")).toMatchObject({ shape: [6, 64], type: "F32" });
    expect(file.metadata.get("qwen2moe.expert_count")).toEqual({ type: "u32", value: 6 });
    expect(file.metadata.get("qwen2moe.expert_used_count")).toEqual({ type: "u32", value: 2 });
    expect(file.metadata.get("qwen2moe.expert_shared_feed_forward_length")).toEqual({ type: "u32", value: 64 });
    expect(compareKeys(file, sourceSpec(source))).toMatchObject({ status: "same" });
    for await (const { name, status, detail } of checkGguf(file, source, {})) {
      expect([name, status, detail]).toEqual([name, "same", undefined]);
    }
    file.close();
  });

  it("is refused by GGUF where llama.cpp would route otherwise, and by ONNX; both say what works", async () => {
    const other = { ...source, config: { ...source.config, norm_topk_prob: true } };
    await expect(writeGguf(other, join(folder, "other.gguf"))).rejects.toThrow(
      /qwen2moe routes tokens to experts in another way.*Next: use --format compressed-tensors/,
    );
    expect(() => assertExpressible(sourceSpec(source))).toThrow(
      /would need experts.*Next: use --format compressed-tensors/,
    );
  });
});
