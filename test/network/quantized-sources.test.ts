import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { formatPlan } from "../../src/cli/plan-text.js";
import { fromBfloat16Bits, toBfloat16Bits } from "../../src/format/bits/half.js";
import { fp8Values } from "../../src/format/dequantized/fp8-values.js";
import type { QuantizeEvent } from "../../src/run/events/events.js";
import { openModel } from "../../src/run/source/open-model.js";
import { noGrad, type Tensor, Tensor as tensors } from "../../src/tensor/index.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { library } from "../fixtures/in-process/library.js";
import { weightHashes } from "../fixtures/in-process/quantized.js";
import { readTensors, type StoredTensor, writeTensors } from "../fixtures/tensor-file.js";

const place = temporaryFolder();
const at = (name: string): string => join(place.path, name);
const BLOCK = 64;
const fp8 = { quant_method: "fp8", fmt: "e4m3", activation_scheme: "static", weight_block_size: [BLOCK, BLOCK] };
const rtn = { scheme: "W4A16g64", recipe: "rtn" } as const;

/** Codes of eight bits nearest to numbers, one scale a block, and the bf16 numbers that they stand for. */
function inFp8(
  values: Float32Array,
  [rows, columns]: readonly [number, number],
): Record<"codes" | "scale" | "decoded", Uint8Array> {
  const order = [...fp8Values.F8_E4M3.keys()].filter((code) => code < 127);
  const magnitudes = order.map((code) => fp8Values.F8_E4M3[code] ?? 0);
  const nearest = (value: number): number => {
    const size = Math.abs(value);
    let [low, high] = [0, magnitudes.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((magnitudes[middle] ?? 0) <= size) low = middle;
      else high = middle;
    }
    const up = (magnitudes[high] ?? 0) - size < size - (magnitudes[low] ?? 0);
    return (value < 0 ? 128 : 0) + (up ? high : low);
  };
  const blocks = Math.ceil(columns / BLOCK);
  const scale = Float32Array.from({ length: Math.ceil(rows / BLOCK) * blocks }, (_, i) => (3 + (i % 5)) * 2 ** -13);
  const codes = new Uint8Array(values.length);
  const decoded = new Uint16Array(values.length);
  values.forEach((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const factor = scale[Math.floor(row / BLOCK) * blocks + Math.floor(column / BLOCK)] ?? 1;
    codes[i] = nearest(value / factor);
    decoded[i] = toBfloat16Bits((fp8Values.F8_E4M3[codes[i] ?? 0] ?? 0) * factor);
  });
  return { codes, scale: new Uint8Array(scale.buffer), decoded: new Uint8Array(decoded.buffer) };
}

/** The numbers of a stored tensor of 16 or 32 bits. */
function numbersOf({ dtype, bytes }: StoredTensor): Float32Array {
  if (dtype === "F32") return new Float32Array(bytes.slice().buffer);
  return Float32Array.from(new Uint16Array(bytes.slice().buffer), fromBfloat16Bits);
}

function configOf(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as Record<string, unknown>;
}

async function logitsOf(folder: string, said: string[] = []): Promise<Tensor> {
  const emit = (event: unknown): void => void said.push(JSON.stringify(event));
  const context = { emit, poll: () => {}, signal: new AbortController().signal };
  using opened = await openModel(folder, { device: "cpu", dtype: "float32" }, context);
  const ids = tensors
    .from(
      Int32Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % 4000),
      [1, 24],
    )
    .to("int64");
  return noGrad(() => opened.decoder.logits(ids));
}

async function quantized(options: Parameters<typeof library.quantize>[0]): Promise<readonly QuantizeEvent[]> {
  const events: QuantizeEvent[] = [];
  for await (const event of library.quantize(options)) events.push(event);
  return events;
}

let events: readonly QuantizeEvent[] = [];
beforeAll(async () => {
  await writeCutModel(at("whole"), 2);
  const stored = readTensors(join(at("whole"), "model.safetensors"));
  const coded = new Map<string, StoredTensor>();
  const plain = new Map<string, StoredTensor>();
  for (const [name, tensor] of stored) {
    const { shape } = tensor;
    if (!/layers\.\d+\..*proj\.weight$/.test(name)) {
      for (const all of [coded, plain]) all.set(name, tensor);
      continue;
    }
    const { codes, scale, decoded } = inFp8(numbersOf(tensor), shape as readonly [number, number]);
    const grid = shape.map((size) => Math.ceil(size / BLOCK));
    coded.set(name, { dtype: "F8_E4M3", shape, bytes: codes });
    coded.set(`${name}_scale_inv`, { dtype: "F32", shape: grid, bytes: scale });
    coded.set(name.replace(/weight$/, "input_scale"), { dtype: "F32", shape: [1], bytes: new Uint8Array(4) });
    plain.set(name, { dtype: "BF16", shape, bytes: decoded });
  }
  for (const [name, all, more] of [
    ["fp8", coded, { quantization_config: fp8 }],
    ["plain", plain, {}],
  ] as const) {
    mkdirSync(at(name));
    cpSync(at("whole"), at(name), { recursive: true });
    writeTensors(join(at(name), "model.safetensors"), all);
    writeFileSync(
      join(at(name), "config.json"),
      JSON.stringify({ ...configOf(at("whole")), dtype: "bfloat16", ...more }),
    );
  }
  await quantized({ model: at("plain"), ...rtn, out: at("plain-w4") });
  events = await quantized({ model: at("fp8"), ...rtn, out: at("fp8-w4"), format: ["gptq", "awq"] });
});
afterAll(() => place[Symbol.dispose]());

describe("a model in fp8", () => {
  it("computes what its numbers compute, and evaluation says that it is decoded", async () => {
    const said: string[] = [];
    const [coded, plain] = [await logitsOf(at("fp8"), said), await logitsOf(at("plain"))];
    expect(coded.sub(plain).abs().amax().item()).toBe(0);
    expect(said.join("\n")).toMatch(/source in fp8, read as bf16: 14 weights; its inputs are not quantized/);
  });

  it("has the codes of these numbers, in folders that say nothing of fp8", async () => {
    expect(weightHashes(at("fp8-w4"))).toEqual(weightHashes(at("plain-w4")));
    expect(configOf(at("fp8-w4"))["quantization_config"]).toMatchObject({ quant_method: "compressed-tensors" });
    const { quantization_config: gptq } = configOf(join(at("fp8-w4"), "gptq"));
    expect(gptq).toMatchObject({ quant_method: "gptq" });
    expect(JSON.stringify(gptq)).not.toMatch(/fp8|weight_block_size/);
    for (const folder of [at("fp8-w4"), join(at("fp8-w4"), "gptq")]) {
      const names = [...readTensors(join(folder, "model.safetensors")).keys()];
      expect(names.filter((name) => /scale_inv|input_scale/.test(name))).toEqual([]);
    }
  });

  it("is told in plan, census, result and inspection", async () => {
    const plan = events.find((event) => event.event === "plan");
    const source = { encoding: "fp8", dtype: "BF16", weights: 14, unused: expect.any(Array) };
    expect(plan?.tensors.source).toEqual(source);
    expect(plan?.tensors.source?.unused).toHaveLength(14);
    expect(formatPlan(plan as NonNullable<typeof plan>)).toMatch(/^\s+source in fp8, read as bf16: 14 weights/m);
    const record = JSON.parse(readFileSync(join(at("fp8-w4"), "crossblock.json"), "utf8")) as { census: unknown };
    expect(record.census).toMatchObject({ source });
    expect((await library.inspect(at("fp8"))).census?.source).toEqual(source);
    expect((await library.inspect(at("plain"))).census?.source).toBeUndefined();
  });

  it("is what verify holds the result against", async () => {
    const seen = [];
    for await (const event of library.verifyResult({ result: at("fp8-w4"), model: at("fp8"), runtimes: false }))
      seen.push(event);
    expect(seen.find(({ event }) => event === "certified")).toMatchObject({ agrees: true });
  });
});

it.each(["gptq", "awq"])("a model in the codes of %s is a source as others are", async (format) => {
  const plan = (
    await quantized({ model: join(at("fp8-w4"), format), ...rtn, scheme: "W8A16g64", out: at(`${format}-w8`) })
  ).find((event) => event.event === "plan");
  expect(plan?.tensors.source).toMatchObject({ encoding: `int4 (${format})`, weights: 14 });
  const [result, again] = [await logitsOf(at("fp8-w4")), await logitsOf(at(`${format}-w8`))];
  const off = result.sub(again).abs().amax().div(result.abs().amax()).item();
  // What was decoded is rounded to bf16, and then to eight bits.
  expect(off).toBeGreaterThan(0);
  expect(off).toBeLessThan(0.05);
});

it("a model in GPTQ's codes whose columns are in activation order is evaluated, too", async () => {
  const [plain, ordered] = [join(at("fp8-w4"), "gptq"), at("ordered")];
  cpSync(plain, ordered, { recursive: true });
  const config = configOf(plain);
  const quantization = { ...(config["quantization_config"] as object), desc_act: true };
  writeFileSync(join(ordered, "config.json"), JSON.stringify({ ...config, quantization_config: quantization }));
  const off = (await logitsOf(plain))
    .sub(await logitsOf(ordered))
    .abs()
    .amax()
    .item();
  expect(off).toBeLessThan(0.1);
});
