import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { InputError } from "../errors.js";
import { Checkpoint } from "./checkpoint.js";
import { readModelConfig } from "./model-config.js";
import { ModelFolder } from "./model-folder.js";
import { temporaryFolder } from "./testing/temporary-folder.js";

async function refusal(action: () => Promise<unknown>): Promise<InputError> {
  const error = await action().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
}

const lora = JSON.stringify({ peft_type: "LORA", base_model_name_or_path: "owner/base", r: 4 });

describe("a folder without config.json is named for what it is", () => {
  it.each<[string, Readonly<Record<string, string>>, RegExp, RegExp]>([
    [
      "LoRA",
      { "adapter_config.json": lora, "adapter_model.safetensors": "" },
      /^a LoRA adapter/,
      /its base owner\/base first/,
    ],
    ["IA3", { "adapter_config.json": '{"peft_type": "IA3"}' }, /^an adapter \(IA3\)/, /its base model first/],
    ["diffusers", { "model_index.json": "{}" }, /diffusers pipeline/, /folder of a language model/],
    [
      "Llama's own",
      { "params.json": "{}", "consolidated.00.pth": "" },
      /format of their authors/,
      /Hugging Face's format/,
    ],
    [
      "GGUF",
      { "model-Q4_0.gguf": "" },
      /^GGUF files/,
      /original model's folder; crossblock inspect ".*model-Q4_0\.gguf"/,
    ],
    ["projector", { "mmproj-model-f16.gguf": "" }, /^GGUF files/, /original model/],
    ["ONNX", { "model.onnx": "" }, /a network in an ONNX file/, /give the file: \S+model\.onnx; of a language model/],
    ["TFLite", { "model.tflite": "" }, /exported for a runtime/, /original model/],
    ["DeepSpeed", { latest: "global_step9", "zero_to_fp32.py": "" }, /training run/, /zero_to_fp32\.py/],
    ["weights alone", { "pytorch_model.bin": "" }, /^weights without config\.json/, /download config\.json/],
    ["one model below", { "checkpoint-500/config.json": "{}" }, /^no config\.json/, /^give .*checkpoint-500$/],
    [
      "several below",
      { "a/config.json": "{}", "b/config.json": "{}" },
      /^no config\.json/,
      /one of them, such as .*a$/,
    ],
    [
      "hub cache",
      { "snapshots/0123/config.json": "{}", "refs/main": "0123" },
      /^no config\.json/,
      /^give .*snapshots\/0123$/,
    ],
    ["nothing", { "notes.md": "" }, /^no config\.json/, /complete download/],
  ])("%s", async (_, files, what, next) => {
    using folder = temporaryFolder();
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder.path, name, ".."), { recursive: true });
      writeFileSync(join(folder.path, name), text);
    }
    const error = await refusal(() => readModelConfig(folder.path));
    expect(error.what).toMatch(what);
    expect(error.next).toMatch(next);
    expect(error.where).toBe(folder.path);
    expect(error.exitCode).toBe(2);
  });
});

it("an adapter beside a config.json, and a folder of ONNX files beside one, are told by the missing weights", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "config.json"), "{}");
  mkdirSync(join(folder.path, "onnx"));
  const exported = await refusal(() => Checkpoint.open(folder.path));
  expect(exported.why).toContain('"onnx"');
  expect(exported.next).toMatch(/folder of the original model/);
  writeFileSync(join(folder.path, "adapter_config.json"), lora);
  expect((await refusal(() => Checkpoint.open(folder.path))).next).toMatch(/merge it into its base owner\/base/);
});

it("a file in place of a folder: the folder is named only where it is a model's", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.gguf");
  writeFileSync(file, "");
  const open = async (): Promise<unknown> => ModelFolder.open(file);
  const alone = await refusal(open);
  expect(alone.what).toMatch(/GGUF file/);
  expect(alone.next).toMatch(/of the original model; .* has no config\.json/);
  writeFileSync(join(folder.path, "config.json"), "{}");
  expect((await refusal(open)).next).toBe(`give the folder that holds config.json and the weights: ${folder.path}`);
});
