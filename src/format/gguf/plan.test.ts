import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { openRows } from "./file/row-writer.js";
import { ggufNotes } from "./notes.js";
import { planGguf } from "./plan.js";

const config: ModelConfig = {
  model_type: "mistral",
  hidden_size: 48,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 3,
  num_key_value_heads: 3,
  sliding_window: null,
  vocab_size: 10,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};
const layer = "model.layers.0";
const shapes: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [10, 48],
  [`${layer}.input_layernorm.weight`]: [48],
  [`${layer}.self_attn.q_proj.weight`]: [48, 48],
  [`${layer}.self_attn.k_proj.weight`]: [48, 48],
  [`${layer}.self_attn.v_proj.weight`]: [48, 48],
  [`${layer}.self_attn.o_proj.weight`]: [48, 48],
  [`${layer}.post_attention_layernorm.weight`]: [48],
  [`${layer}.mlp.gate_proj.weight`]: [64, 48],
  [`${layer}.mlp.up_proj.weight`]: [64, 48],
  "model.norm.weight": [48],
};
const down: QuantizedLayout = { bits: 3, groupSize: 64, perChannel: true, symmetric: true, rows: 48, columns: 64 };

function sourceOf(change: Partial<ExportSource> = {}, dtype: TensorInfo["dtype"] = "BF16"): ExportSource {
  const plain = new Map<string, TensorInfo>();
  for (const [name, shape] of Object.entries(shapes)) {
    const byteLength = 2 * shape.reduce((product, size) => product * size, 1);
    plain.set(name, { name, dtype, shape, file: "f", byteLength });
  }
  return {
    config,
    folder: ".",
    linears: new Map([[`${layer}.mlp.down_proj`, down]]),
    plain,
    activations: null,
    inputScales: new Map(),
    readQuantized: async () => ({
      ...down,
      codes: Uint8Array.from({ length: 48 * 64 }, (_, i) => i % 8),
      scales: new Float32Array(48).fill(0.25),
      zeroPoints: new Uint8Array(48).fill(4),
    }),
    readPlain: async (name) => new Uint8Array(plain.get(name)?.byteLength ?? 0),
    ...change,
  };
}

describe("the plan of a file", () => {
  it("keeps floats as they are and 1-D tensors in fp32, in the order of the network", () => {
    const { tensors } = planGguf(sourceOf());
    expect(tensors.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "token_embd.weight BF16",
      "blk.0.attn_norm.weight F32",
      "blk.0.attn_q.weight BF16",
      "blk.0.attn_k.weight BF16",
      "blk.0.attn_v.weight BF16",
      "blk.0.attn_output.weight BF16",
      "blk.0.ffn_norm.weight F32",
      "blk.0.ffn_gate.weight BF16",
      "blk.0.ffn_up.weight BF16",
      "blk.0.ffn_down.weight Q4_0",
      "output_norm.weight F32",
    ]);
    expect(tensors.filter(({ rowOrder }) => rowOrder !== null).map(({ name }) => name)).toEqual([
      "blk.0.attn_q.weight",
      "blk.0.attn_k.weight",
    ]);
  });

  it("falls back to half precision on request where no block divides the columns", async () => {
    const narrow: QuantizedLayout = { ...down, bits: 4, groupSize: 24, perChannel: false, columns: 24 };
    const linears = new Map([[`${layer}.mlp.down_proj`, narrow]]);
    expect(() => planGguf(sourceOf({ linears }))).toThrow(/down_proj.*leave this layer unquantized/);
    const weight = { codes: new Uint8Array(48 * 24).fill(9), scales: new Float32Array(48).fill(0.5) };
    const readQuantized: ExportSource["readQuantized"] = async () => ({
      ...narrow,
      ...weight,
      zeroPoints: new Uint8Array(48).fill(8),
    });
    const source = sourceOf({ linears, readQuantized });
    const tensor = planGguf(source, { reencode: true }).tensors.find(({ name }) => name === "blk.0.ffn_down.weight");
    if (tensor === undefined) throw new Error("not planned");
    expect(tensor).toMatchObject({ type: "F16", fidelity: "reencoded", byteLength: 48 * 24 * 2 });
    const rows = await openRows(tensor, `${layer}.mlp.down_proj`, source);
    const out = new Uint8Array(48);
    rows.write(0, out, 0);
    expect([...new Uint16Array(out.buffer)]).toEqual(new Array(24).fill(0x3800));
    expect(rows.relativeError()).toBe(0);
  });

  it("refuses incomplete models, other dtypes, widths that no block divides, and OPT", () => {
    const incomplete = sourceOf();
    const plain = new Map(incomplete.plain);
    plain.delete("model.norm.weight");
    expect(() => planGguf({ ...incomplete, plain })).toThrow(/^model.norm.weight: .*Next: /);
    expect(() => planGguf(sourceOf({}, "F64"))).toThrow(/F64 that is no float.*Next: /);
    expect(() => planGguf(sourceOf(), { embedding: "q8_0" })).toThrow(
      /48 columns are not a whole number of Q8_0 blocks/,
    );
    expect(() => planGguf(sourceOf({ config: { ...config, model_type: "opt" } }))).toThrow(
      /onnx or compressed-tensors/,
    );
  });

  it("says what the file leaves out", () => {
    const plain = new Map(sourceOf().plain);
    const width: TensorInfo = { name: "", dtype: "BF16", shape: [48, 64], file: "f", byteLength: 48 * 64 * 2 };
    plain.set(`${layer}.mlp.down_proj.weight`, { ...width, name: `${layer}.mlp.down_proj.weight` });
    const quiet = sourceOf({ linears: new Map(), plain });
    expect(ggufNotes(planGguf(quiet), quiet)).toEqual([]);
    const source = sourceOf({
      config: { ...config, sliding_window: 1024 },
      activations: { bits: 8, granularity: "token", dynamic: true },
    });
    expect(ggufNotes(planGguf(source), source)).toEqual([
      expect.stringMatching(/weights only: the 8-bit activations/),
      expect.stringMatching(/^1 tensor is exact in Q4_0/),
      expect.stringMatching(/context is 1024 instead of 4096/),
    ]);
  });
});
