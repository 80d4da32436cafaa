import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { shellWord } from "./file-system/shell-word.js";
import { clip, type JsonObject, parseJsonObject, quote } from "./json/json.js";
import type { ModelFolder } from "./model-folder.js";

/** What a folder is that is no model folder, and what to do with it. */
export interface ForeignFolder {
  readonly what: string;
  readonly why?: string;
  readonly next: string;
}

const maxJsonLength = 4_000_000;

const languageModel = "give the folder of a language model: config.json, tokenizer.json and safetensors";

/** Folders that are known by a file, the surest first. */
const kinds: readonly {
  readonly file: RegExp;
  readonly diagnose: (folder: ModelFolder, file: string) => ForeignFolder;
}[] = [
  { file: /^adapter_config\.json$/, diagnose: adapter },
  {
    file: /^model_index\.json$/,
    diagnose: () => ({ what: "a diffusers pipeline, not a language model", next: languageModel }),
  },
  {
    file: /^(?:consolidated.*\.(?:pth|safetensors)|params\.json|tokenizer\.model\.v\d+)$/,
    diagnose: (_, file) => ({
      what: "weights in the format of their authors, not a Hugging Face folder",
      why: `there is ${file} and no config.json`,
      next: "download the same model in Hugging Face's format, or convert it with transformers' convert script of its family",
    }),
  },
  {
    file: /\.gguf$/i,
    diagnose: (folder, file) => ({
      what: "GGUF files, which are made from a model, not a model to quantize",
      why: `there is ${quote(file)} and no config.json`,
      next: `give the original model's folder; crossblock inspect ${quote(join(folder.path, file))} shows what the file holds`,
    }),
  },
  {
    file: /\.onnx$/i,
    diagnose: (folder, file) => ({
      what: "a network in an ONNX file, which is given as the file",
      why: `there is ${quote(file)} and no config.json`,
      next: `give the file: ${shellWord(join(folder.path, file))}; of a language model give the original's folder (config.json, tokenizer.json and safetensors)`,
    }),
  },
  {
    file: /\.(?:tflite|mlpackage|npz|ot|msgpack|h5)$/i,
    diagnose: (_, file) => ({
      what: "a model that was exported for a runtime, not one to quantize",
      why: `there is ${quote(file)} and no config.json`,
      next: "give the folder of the original model: config.json, tokenizer.json and safetensors",
    }),
  },
  {
    file: /^(?:latest|zero_to_fp32\.py|global_step\d+|\.metadata|latest_checkpointed_iteration\.txt|latest_checkpointed_step\.txt)$/,
    diagnose: (_, file) => ({
      what: "the state of a training run in shards, not a model",
      why: `there is ${quote(file)} and no config.json`,
      next: "join it with the trainer's own script (DeepSpeed: zero_to_fp32.py), save_pretrained(folder), and give that folder",
    }),
  },
  {
    file: /\.(?:safetensors|bin|pth?|ckpt)$/i,
    diagnose: (_, file) => ({
      what: "weights without config.json",
      why: `there is ${quote(file)}, and nothing that says what network it belongs to`,
      next: "download config.json and the tokenizer files of the same model into this folder",
    }),
  },
];

/** Recognises a folder without `config.json`; null where nothing in it tells. */
export function foreignFolder(folder: ModelFolder): ForeignFolder | null {
  const names = folder.list();
  for (const { file, diagnose } of kinds) {
    const found = names.find((name) => file.test(name));
    if (found !== undefined) return diagnose(folder, found);
  }
  const inside = names.flatMap((name) => modelsBelow(join(folder.path, name), name === "snapshots"));
  const [first] = inside;
  if (first === undefined) return null;
  return {
    what: "no config.json in this folder",
    why: inside.length === 1 ? "the model is in a folder below it" : `${inside.length} models are in folders below it`,
    next: inside.length === 1 ? `give ${first}` : `give one of them, such as ${first}`,
  };
}

/**
 * Recognises a `config.json` that is not that of a transformers model.
 *
 * @returns null where it has a `model_type`
 */
export function foreignConfig(config: JsonObject): ForeignFolder | null {
  if (typeof config["model_type"] === "string") return null;
  const name = config["_class_name"];
  if (typeof name === "string" || config["_diffusers_version"] !== undefined) {
    const named = typeof name === "string" ? ` (${clip(name)})` : "";
    return { what: `a part of a diffusers pipeline${named}, not a language model`, next: languageModel };
  }
  if (config["peft_type"] !== undefined)
    return { what: "the configuration of an adapter, not of a model", next: merge(config) };
  return null;
}

/** Folders with a config.json: the one at `path`, or in the cache's `snapshots` those one below. */
function modelsBelow(path: string, snapshots: boolean): string[] {
  const places = snapshots ? readdirSync(path).map((name) => join(path, name)) : [path];
  return places.filter((place) => existsSync(join(place, "config.json")));
}

function adapter(folder: ModelFolder, file: string): ForeignFolder {
  const text = folder.readText(file, maxJsonLength);
  const config = text === null ? {} : parseJsonObject(text, join(folder.path, file));
  const type = config["peft_type"];
  const named = typeof type === "string" && type !== "LORA" ? `an adapter (${clip(type)})` : "a LoRA adapter";
  return {
    what: `${named}, not a model`,
    why: "it has adapter_config.json and no config.json",
    next: merge(config),
  };
}

function merge(config: JsonObject): string {
  const base = config["base_model_name_or_path"];
  const named = typeof base === "string" && base !== "" ? `its base ${clip(base)}` : "its base model";
  return `merge it into ${named} first, in Python: merge_and_unload() of peft, then save_pretrained(folder), and give that folder`;
}
