import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../checkpoint/json/json.js";
import { fp8Values } from "./fp8-values.js";
import { bf16, f32, read, type Stored } from "./testing/read-stored.js";

// Of four bits of exponent and three of fraction: 1, 2, 1.5, -1, 2^-9, 448, 0, -0.
const [one, two, threeHalves, minusOne, least, most] = [0x38, 0x40, 0x3c, 0xb8, 0x01, 0x7e];
const e4m3 = { quant_method: "fp8", fmt: "e4m3", activation_scheme: "dynamic", weight_block_size: [2, 2] };

describe("eight-bit floats", () => {
  it("have the values of their specification", () => {
    const at = (table: Float32Array, ...codes: number[]): number[] => codes.map((code) => table[code] ?? Number.NaN);
    expect(at(fp8Values.F8_E4M3, one, two, threeHalves, minusOne, least, most, 0, 0x80)).toEqual([
      ...[1, 2, 1.5, -1, 2 ** -9, 448, 0, -0],
    ]);
    expect(at(fp8Values.F8_E4M3, 0x7f, 0xff)).toEqual([Number.NaN, Number.NaN]);
    expect(at(fp8Values.F8_E4M3, 0x07, 0x08)).toEqual([7 * 2 ** -9, 2 ** -6]);
    expect(at(fp8Values.F8_E5M2, 0x3c, 0x7b, 0x7c, 0x01)).toEqual([1, 57344, Number.POSITIVE_INFINITY, 2 ** -16]);
  });

  it("are read with a scale for each block, the last of which are smaller", async () => {
    const { values, weights } = await read(e4m3, {
      "a.weight": ["F8_E4M3", [3, 3], [one, two, one, minusOne, threeHalves, two, one, one, most]],
      "a.weight_scale_inv": ["F32", [2, 2], f32(2, 4, 0.5, 3)],
      "norm.weight": ["BF16", [2], bf16(1, -3)],
    });
    // 448 * 3 = 1344 is a bf16 number.
    expect(values).toEqual({ "a.weight": [2, 4, 4, -2, 3, 8, 0.5, 0.5, 1344], "norm.weight": [1, -3] });
    expect(weights.tensors.get("a.weight")).toMatchObject({ dtype: "BF16", shape: [3, 3], byteLength: 18 });
    expect(weights.encoding).toEqual({ name: "fp8", dtype: "BF16", weights: 1, unused: [] });
  });

  it.each([
    ["one scale", [], [3], [3, 6, 4.5, -3]],
    ["one scale in brackets", [1], [3], [3, 6, 4.5, -3]],
    ["a scale for each row", [2, 1], [3, 5], [3, 6, 7.5, -5]],
    ["the same without its last dimension", [2], [3, 5], [3, 6, 7.5, -5]],
    ["a scale for each column", [1, 2], [3, 5], [3, 10, 4.5, -5]],
  ])("are read with %s", async (_name, shape, scales, expected) => {
    const { values } = await read(
      { quant_method: "fbgemm_fp8" },
      {
        "a.weight": ["F8_E4M3", [2, 2], [one, two, threeHalves, minusOne]],
        "a.weight_scale": ["BF16", shape, bf16(...scales)],
      },
    );
    expect(values).toEqual({ "a.weight": expected });
  });

  it("of stacked matrices have scales of each, in powers of two where these are stored so", async () => {
    const { values } = await read(
      { ...e4m3, weight_block_size: [1, 2] },
      {
        "experts.up": ["F8_E4M3", [2, 1, 3], [one, two, one, one, one, minusOne]],
        "experts.up_scale_inv": ["F8_E8M0", [2, 1, 2], [127, 128, 126, 130]],
      },
      { dtype: "float32" },
    );
    expect(values).toEqual({ "experts.up": [1, 2, 2, 0.5, 0.5, -8] });
  });

  it("lose the scales of inputs that a runtime would quantize, by name", async () => {
    const { values, weights } = await read(
      { quant_method: "modelopt", quant_algo: "FP8" },
      {
        "a.input_scale": ["F32", [], f32(1)],
        "a.weight": ["F8_E4M3", [1, 2], [one, two]],
        "a.weight_scale": ["F32", [], f32(2)],
      },
    );
    expect(values).toEqual({ "a.weight": [2, 4] });
    expect(weights.encoding?.unused).toEqual(["a.input_scale"]);
  });

  it("lie beside integers in one folder of compressed-tensors, each group by its targets", async () => {
    const group = (targets: string[], weights: JsonObject): JsonObject => ({ targets, weights });
    const { values, weights } = await read(
      {
        quant_method: "compressed-tensors",
        format: "mixed-precision",
        config_groups: {
          a: group(["re:.*a$"], { num_bits: 8, type: "float", strategy: "block", block_structure: [1, 2] }),
          b: group(["b"], { num_bits: 4, type: "int", strategy: "channel", symmetric: true }),
        },
      },
      {
        "a.weight": ["F8_E4M3", [1, 3], [one, two, one]],
        "a.weight_scale": ["F32", [1, 2], f32(2, 8)],
        // Codes -8, -1, 0, 7, offset by 8, the lowest bits first.
        "b.weight_packed": ["I32", [1, 1], Int32Array.of(0xf870)],
        "b.weight_scale": ["BF16", [1, 1], bf16(0.5)],
        "b.weight_shape": ["I64", [2], BigInt64Array.of(1n, 4n)],
      },
    );
    expect(values).toEqual({ "a.weight": [2, 4, 8], "b.weight": [-4, -0.5, 0, 3.5] });
    expect(weights.encoding?.name).toBe("fp8 and int4 (compressed-tensors)");
  });
});

describe("MXFP4", () => {
  const mxfp4 = { quant_method: "mxfp4" };
  // Two experts of two outputs and 32 inputs: the number of each code in turn, then all of code 3.
  const blocks = Uint8Array.from({ length: 64 }, (_, i) => (i < 8 ? ((2 * i + 1) << 4) | (2 * i) : 0x33));
  const up: Readonly<Record<string, Stored>> = {
    "experts.up_proj_blocks": ["U8", [2, 2, 1, 16], blocks],
    "experts.up_proj_scales": ["U8", [2, 2, 1], [127, 128, 125, 129]],
    "experts.up_proj_bias": ["BF16", [2, 2], bf16(1, 2, 3, 4)],
  };

  it("is read with inputs before outputs, as the same model has its experts in bf16", async () => {
    const { values, weights } = await read(mxfp4, up);
    expect(weights.tensors.get("experts.up_proj")).toMatchObject({ dtype: "BF16", shape: [2, 32, 2] });
    const rows = Array.from({ length: 32 }, (_, input) => values["experts.up_proj"]?.slice(2 * input, 2 * input + 2));
    const codes = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];
    expect(rows).toEqual(Array.from({ length: 32 }, (_, input) => [codes[input] ?? 1.5, 3]));
    expect(values["experts.up_proj"]?.slice(64)).toEqual(Array.from({ length: 64 }, (_, i) => [0.375, 6][i % 2]));
    expect(values["experts.up_proj_bias"]).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ["blocks of another shape", { "experts.up_proj_blocks": ["U8", [2, 2, 16], blocks] }, /\[2, 2, 16\].*in \/ 32, 16/],
    ["scales of another shape", { "experts.up_proj_scales": ["U8", [2, 2], [1, 2, 3, 4]] }, /\[2, 2\].*\[2, 2, 1\]/],
    ["a scale that is no number", { "experts.up_proj_scales": ["U8", [2, 2, 1], [1, 2, 3, 255]] }, /no number/],
  ] as const)("refuses %s", async (_name, change, message) => {
    await expect(read(mxfp4, { ...up, ...(change as Record<string, Stored>) })).rejects.toThrow(message);
  });

  it("refuses blocks without scales, and scales without blocks", async () => {
    const { "experts.up_proj_blocks": alone, "experts.up_proj_scales": scales } = up as Record<string, Stored>;
    await expect(read(mxfp4, { e_blocks: alone as Stored })).rejects.toThrow(/"e_scales", which it needs/);
    await expect(read(mxfp4, { e_scales: scales as Stored })).rejects.toThrow(/"e_blocks", whose scales/);
  });
});

describe("integers", () => {
  const scheme = { num_bits: 4, type: "int", strategy: "group", group_size: 4, symmetric: false };
  const inFours = {
    quant_method: "compressed-tensors",
    config_groups: { g: { targets: ["Linear"], weights: scheme } },
  };
  const weight: Readonly<Record<string, Stored>> = {
    // Codes 0 .. 7 of one row, then 8 .. 15.
    "a.weight_packed": ["I32", [2, 1], Uint32Array.of(0x76543210, 0xfedcba98)],
    "a.weight_scale": ["F16", [2, 2], Uint16Array.of(0x3c00, 0x4000, 0x3800, 0x3c00)],
    // Zero points of groups in columns of the two rows: 1 and 8, 2 and 10.
    "a.weight_zero_point": ["I32", [1, 2], Int32Array.of(0x81, 0xa2)],
    "a.weight_shape": ["I64", [2], BigInt64Array.of(2n, 8n)],
  };

  it("of compressed-tensors are read with scale and zero point of their group", async () => {
    const { values } = await read(inFours, weight, { torch_dtype: "bfloat16" });
    expect(values).toEqual({ "a.weight": [-1, 0, 1, 2, 4, 6, 8, 10, 0, 0.5, 1, 1.5, 2, 3, 4, 5] });
  });

  it("may have columns in activation order", async () => {
    const index: Stored = ["I32", [8], Int32Array.of(1, 0, 0, 0, 0, 1, 1, 1)];
    const { values } = await read(inFours, { ...weight, "a.weight_g_idx": index });
    expect(values["a.weight"]?.slice(0, 8)).toEqual([-4, 0, 1, 2, 3, 6, 8, 10]);
    const wrong: Stored = ["I32", [8], Int32Array.of(2, 0, 0, 0, 0, 1, 1, 1)];
    await expect(read(inFours, { ...weight, "a.weight_g_idx": wrong })).rejects.toThrow(/8 groups from 0 to 1/);
  });

  it("of GPTQ are read by their version, in activation order too", async () => {
    // Eight inputs and eight outputs: code of input i and output o is (i + o) mod 16.
    const codes = Uint32Array.from({ length: 8 }, (_, o) =>
      Array.from({ length: 8 }, (__, i) => ((i + o) % 16) * 16 ** i).reduce((sum, each) => sum + each, 0),
    );
    const gptq = { quant_method: "gptq", bits: 4, group_size: 4, sym: true, desc_act: true };
    const tensors: Readonly<Record<string, Stored>> = {
      "a.qweight": ["I32", [1, 8], codes],
      "a.qzeros": ["I32", [2, 1], Uint32Array.of(0x77777777, 0x00000000)],
      "a.scales": ["F16", [2, 8], Uint16Array.from({ length: 16 }, (_, i) => (i < 8 ? 0x3c00 : 0x4000))],
      "a.g_idx": ["I32", [8], Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1)],
    };
    const expected = (first: number, second: number): number[] =>
      Array.from({ length: 64 }, (_, at) => {
        const [o, i] = [Math.floor(at / 8), at % 8];
        return i % 2 === 0 ? i + o - first : 2 * (i + o - second);
      });
    expect((await read(gptq, tensors)).values).toEqual({ "a.weight": expected(8, 1) });
    const v2 = { ...gptq, checkpoint_format: "gptq_v2" };
    expect((await read(v2, tensors)).values).toEqual({ "a.weight": expected(7, 0) });
  });

  it.each([
    ["a packed width that is another", { "a.weight_shape": ["I64", [2], BigInt64Array.of(2n, 16n)] }, /\[2, 16\] in 4/],
    ["scales of another shape", { "a.weight_scale": ["F16", [2, 1], Uint16Array.of(1, 1)] }, /weight_scale.*\[2, 2\]/],
    [
      "a weight that is there twice",
      { "a.weight": ["BF16", [2, 8], bf16(...Array<number>(16).fill(1))] },
      /there twice/,
    ],
  ] as const)("refuses %s", async (_name, change, message) => {
    await expect(read(inFours, { ...weight, ...(change as Record<string, Stored>) })).rejects.toThrow(message);
  });

  it.each(["a.weight_scale", "a.weight_zero_point", "a.weight_shape"])("refuses a weight without %s", async (part) => {
    const { [part]: _, ...rest } = weight;
    await expect(read(inFours, rest)).rejects.toThrow(new RegExp(`"${part}", which it needs`));
  });
});
