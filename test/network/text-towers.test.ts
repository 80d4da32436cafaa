import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { type TinyModel, tinyModel, writeTinyModel } from "../../src/network/testing/tiny-models.js";
import { openModel } from "../../src/run/source/open-model.js";
import { noGrad, Tensor } from "../../src/tensor/index.js";
import { library } from "../fixtures/in-process/library.js";
import { readTensors, type StoredTensor, writeTensors } from "../fixtures/tensor-file.js";

const place = temporaryFolder();
afterAll(() => place[Symbol.dispose]());

type Config = Readonly<Record<string, unknown>>;

/** A text model as a part of a larger one: where its tensors lie, and what the configuration then is. */
interface Whole {
  readonly text: string;
  readonly body: string;
  readonly head: string;
  /** Of the whole, given that of the text model. */
  readonly config: (text: Config) => Config;
}

const inside = (type: string, textType: string, more: Config = {}): Whole["config"] => {
  return (text) => ({
    model_type: type,
    text_config: { ...text, model_type: textType, ...more },
    vision_config: { depth: 1 },
  });
};
const mrope = { rope_scaling: { type: "mrope", mrope_section: [1, 1, 2] }, rope_parameters: null, rope_theta: 10000 };
const wholes: Readonly<Record<string, Whole>> = {
  "Gemma 3": {
    text: "gemma3_text",
    body: "language_model.model.",
    head: "language_model.lm_head",
    config: inside("gemma3", "gemma3_text"),
  },
  "Mistral 3": {
    text: "llama",
    body: "language_model.model.",
    head: "language_model.lm_head",
    config: inside("mistral3", "mistral"),
  },
  "Qwen2.5-VL": {
    text: "qwen2",
    body: "model.language_model.",
    head: "lm_head",
    config: inside("qwen2_5_vl", "qwen2_5_vl_text", mrope),
  },
  "Qwen3-VL": {
    text: "qwen3",
    body: "model.language_model.",
    head: "lm_head",
    config: inside("qwen3_vl", "qwen3_vl_text", mrope),
  },
  "Qwen2-VL, whose configuration has everything side by side": {
    text: "qwen2",
    body: "model.",
    head: "lm_head",
    config: (text) => ({ ...text, model_type: "qwen2_vl", ...mrope, vision_config: { depth: 1 } }),
  },
};

/** What lies beside the text network, which must come out as it went in. */
const beside: Readonly<Record<string, readonly number[]>> = {
  "vision_tower.encoder.layers.0.self_attn.q_proj.weight": [8, 8],
  "vision_tower.patch_embed.weight": [8, 3, 2, 2],
  "multi_modal_projector.linear_1.weight": [32, 8],
  "mtp.layers.0.mlp.experts.gate_up_proj": [2, 8, 8],
  "mtp.fc.weight": [8, 16],
};

function folderOf(name: string): string {
  const folder = join(place.path, name.replaceAll(/\W/g, "-"));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Writes the text model and the whole. */
async function writeBoth(name: string): Promise<{ readonly text: string; readonly whole: string }> {
  const { text: family, body, head, config } = wholes[name] as Whole;
  const tiny: TinyModel = tinyModel(family);
  const [text, whole] = [folderOf(`${name} text`), folderOf(name)];
  await writeTinyModel(text, tiny);
  const stored = new Map<string, StoredTensor>();
  for (const [tensor, value] of readTensors(join(text, "model.safetensors"))) {
    stored.set(tensor.replace(/^model\./, body).replace(/^lm_head/, head), value);
  }
  for (const [tensor, shape] of Object.entries(beside)) {
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = new Uint8Array(Float32Array.from({ length: count }, (_, i) => Math.sin(i)).buffer);
    stored.set(tensor, { dtype: "F32", shape, bytes });
  }
  writeTensors(join(whole, "model.safetensors"), stored);
  writeFileSync(join(whole, "config.json"), JSON.stringify(config(tiny.config)));
  return { text, whole };
}

async function logitsOf(folder: string): Promise<Tensor> {
  const context = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };
  using opened = await openModel(folder, { device: "cpu", dtype: "float32" }, context);
  const { vocabSize } = opened.decoder.spec;
  const ids = Tensor.from(
    Int32Array.from({ length: 12 }, (_, i) => (i * 7 + 3) % vocabSize),
    [1, 12],
  ).to("int64");
  return noGrad(() => opened.decoder.logits(ids));
}

async function quantized(options: Parameters<typeof library.quantize>[0]): Promise<void> {
  for await (const _ of library.quantize(options));
}

const rtn = { scheme: "W4A16g8", recipe: "rtn" } as const;

describe.each(Object.keys(wholes))("the text network of %s", (name) => {
  it("is computed and quantized as it is on its own; everything beside it stays, and readers are told", async () => {
    const { text, whole } = await writeBoth(name);
    const off = (a: Tensor, b: Tensor): number => a.sub(b).abs().amax().item();
    expect(off(await logitsOf(text), await logitsOf(whole))).toBe(0);
    const [alone, out] = [folderOf(`${name} text w4`), folderOf(`${name} w4`)];
    await quantized({ model: text, ...rtn, out: alone });
    await quantized({ model: whole, ...rtn, out, format: "gptq" });
    expect(off(await logitsOf(alone), await logitsOf(out))).toBe(0);

    const source = readTensors(join(whole, "model.safetensors"));
    for (const folder of [out, join(out, "gptq")]) {
      const written = readTensors(join(folder, "model.safetensors"));
      for (const tensor of Object.keys(beside)) expect(written.get(tensor)).toEqual(source.get(tensor));
    }
    const config = (folder: string): Config => JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as Config;
    const given = config(whole);
    const { quantization_config: quantization, ...kept } = config(out) as Config & {
      quantization_config: { ignore: string[] };
    };
    expect(kept).toEqual(given);
    expect(quantization.ignore).toEqual(
      expect.arrayContaining([
        "vision_tower.encoder.layers.0.self_attn.q_proj",
        "mtp.fc",
        "re:^vision_tower\\..*",
        "re:^multi_modal_projector\\..*",
        "re:^mtp\\..*",
      ]),
    );
    const { dynamic } = (config(join(out, "gptq"))["quantization_config"] ?? {}) as { dynamic?: Config };
    expect(Object.keys(dynamic ?? {})).toEqual(expect.arrayContaining(["-:^vision_tower\\..*", "-:^mtp\\..*"]));
    const record = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8")) as {
      census: { leftOut: { reason: string; tensors: string[] }[] };
    };
    const leftOut = Object.fromEntries(record.census.leftOut.map(({ reason, tensors }) => [reason, tensors.length]));
    expect(leftOut).toEqual({ "other-modality": 3, "multi-token-prediction": 2 });
  });
});
