import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseJson } from "../../src/checkpoint/json/json.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import type { CrossblockError, QuantizeEvent, VerifyEvent } from "../../src/index.js";
import { library } from "../fixtures/in-process/library.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";
import { readTensors, writeTensors } from "../fixtures/tensor-file.js";

const { evaluate, exportResult, loadModel, quantize, verifyResult } = library;

type Config = Record<string, unknown>;

let scratch = "";
let base = "";
let place: Workplace;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-configuration-"));
  base = join(scratch, "base");
  place = workplace(60);
  cpSync(bundledModel, base, { recursive: true });
  const config = configOf(base);
  writeFileSync(join(base, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 2 }));
  const weights = join(base, "model.safetensors");
  const kept = [...readTensors(weights)].filter(([name]) => !/layers\.[2-9]\./.test(name));
  writeTensors(weights, new Map(kept));
});

afterAll(() => {
  place[Symbol.dispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** The first two blocks of the bundled Llama with another configuration. */
function variant(name: string, change: (config: Config) => void): string {
  const folder = join(scratch, name);
  cpSync(base, folder, { recursive: true });
  const config = parseJson(readFileSync(join(folder, "config.json"), "utf8")) as Config;
  change(config);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return folder;
}

async function run(model: string, options: Partial<Parameters<typeof quantize>[0]> = {}): Promise<QuantizeEvent[]> {
  const events: QuantizeEvent[] = [];
  const formats = ["compressed-tensors", "gptq", "gguf", "onnx"] as const;
  const rounded = { scheme: "W4A16g32", recipe: "rtn", finish: "none", score: false } as const;
  const given = { model, ...rounded, out: `${model}-out` };
  for await (const event of quantize({ ...given, format: [...formats], ...options })) events.push(event);
  return events;
}

async function verdict(result: string): Promise<{ agrees: boolean; why: string[] }> {
  const events: VerifyEvent[] = [];
  for await (const event of verifyResult({ result, runtimes: false })) events.push(event);
  return {
    agrees: events.some((event) => event.event === "certified" && event.agrees),
    why: events.flatMap((event) => (event.event === "disagreement" ? [`${event.tensor}: ${event.what}`] : [])),
  };
}

function ggufOf(result: string): GgufFile {
  const folder = join(result, "gguf");
  return GgufFile.open(join(folder, readdirSync(folder).find((name) => name.endsWith(".gguf")) ?? ""));
}

function ggufKeys(result: string, keys: readonly string[]): unknown[] {
  using file = ggufOf(result);
  return keys.map((key) => {
    const value = file.metadata.get(`llama.${key}`);
    return value === undefined || value.type === "array" ? null : value.value;
  });
}

function configOf(folder: string): Config {
  return parseJson(readFileSync(join(folder, "config.json"), "utf8")) as Config;
}

function warnings(events: readonly QuantizeEvent[]): string[] {
  return events.flatMap((event) => (event.event === "warning" ? [event.message] : []));
}

async function refusal(work: () => Promise<unknown>): Promise<CrossblockError> {
  try {
    await work();
  } catch (error) {
    return error as CrossblockError;
  }
  throw new Error("nothing was refused");
}

describe("a fact of the configuration is the same in the network and in every export", () => {
  it("both rotary keys: the network's scaling and base", async () => {
    const model = variant("both-keys", (config) => {
      config["rope_parameters"] = { rope_theta: 5e5, rope_type: "default" };
      config["rope_scaling"] = { type: "linear", factor: 4 };
    });
    const events = await run(model);
    expect(warnings(events)).toEqual([expect.stringMatching(/rope_scaling counts, with a base of 10000/)]);
    const keys = ["rope.scaling.type", "rope.scaling.factor", "rope.freq_base"];
    expect(ggufKeys(`${model}-out`, keys)).toEqual(["linear", 4, 10000]);
    for (const folder of [`${model}-out`, `${model}-out/gptq`, `${model}-out/onnx`]) {
      const config = configOf(folder);
      expect(config["rope_parameters"]).toBeUndefined();
      expect([config["rope_theta"], config["rope_scaling"]]).toEqual([10000, { factor: 4, rope_type: "linear" }]);
    }
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
  });

  it("a window that the family does not have limits nothing", async () => {
    const model = variant("window", (config) => {
      config["sliding_window"] = 16;
    });
    const events = await run(model);
    const notes = events.flatMap((event) => (event.event === "exported" ? event.notes : []));
    expect(notes.filter((note) => note.includes("context"))).toEqual([]);
    expect(ggufKeys(`${model}-out`, ["context_length"])).toEqual([1024]);
    expect(configOf(`${model}-out/gptq`)["sliding_window"]).toBeNull();
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
  });

  it("keys that are left out have the values that the network takes", async () => {
    const model = variant("trimmed", (config) => {
      for (const key of ["rms_norm_eps", "hidden_act", "rope_parameters", "attention_bias", "mlp_bias", "head_dim"]) {
        delete config[key];
      }
    });
    await run(model);
    const keys = ["attention.layer_norm_rms_epsilon", "rope.freq_base", "attention.key_length"];
    expect(ggufKeys(`${model}-out`, keys)).toEqual([Math.fround(1e-6), 10000, 32]);
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
  });

  it("a result whose config.json was changed afterwards disagrees, whatever its tensors are", async () => {
    const model = variant("edited", () => {});
    await run(model, { format: ["compressed-tensors"] });
    const file = join(`${model}-out`, "config.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(/"rope_theta":\s*[\d.]+/, '"rope_theta": 20000'));
    expect((await verdict(`${model}-out`)).why).toEqual([
      expect.stringMatching(/^config.json: blocks\[0\]\..*theta is 20000 instead of 10000/),
    ]);
    writeFileSync(file, text);
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
  });
});

describe("a tied head and one of its own", () => {
  /** Gives the model a head made from its embedding, which is stored in bf16. */
  function withHead(name: string, sign: 1 | -1, tied: boolean): string {
    const folder = variant(name, (config) => {
      config["tie_word_embeddings"] = tied;
    });
    const file = join(folder, "model.safetensors");
    const tensors = readTensors(file);
    const embedding = tensors.get("model.embed_tokens.weight");
    if (embedding === undefined) throw new Error("no embedding");
    // The upper half of a number holds its sign.
    const bytes = embedding.bytes.map((byte, i) => (sign < 0 && i % 2 === 1 ? byte ^ 0x80 : byte));
    tensors.set("lm_head.weight", { ...embedding, bytes });
    writeTensors(file, tensors);
    return folder;
  }

  const perplexity = async (model: string): Promise<number> =>
    (await evaluate(model, { text: place.text, context: 64 })).value;

  it("that differ: computed with the head, which every export holds and says so", async () => {
    const model = withHead("own-head", -1, true);
    const untied = withHead("own-head-untied", -1, false);
    expect(await perplexity(model)).toBe(await perplexity(untied));
    const events = await run(model);
    expect(warnings(events)).toEqual([expect.stringMatching(/lm_head.weight differs from model.embed_tokens.weight/)]);
    for (const folder of [`${model}-out`, `${model}-out/gptq`, `${model}-out/onnx`]) {
      expect(configOf(folder)["tie_word_embeddings"]).toBe(false);
    }
    using file = ggufOf(`${model}-out`);
    expect(file.tensors.has("output.weight")).toBe(true);
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
    await run(untied, { format: ["compressed-tensors"] });
    expect(await perplexity(`${model}-out`)).toBe(await perplexity(`${untied}-out`));
    // A result of an earlier version says true: it is read as its head wants it, and certified as what it is.
    const config = join(`${model}-out`, "config.json");
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'),
    );
    expect(await perplexity(`${model}-out`)).toBe(await perplexity(`${untied}-out`));
    expect((await verdict(`${model}-out`)).why).toEqual([
      "config.json: tie_word_embeddings is true, computed is false",
    ]);
  });

  it("that are the same: tied, and GGUF holds it once", async () => {
    const model = withHead("same-head", 1, true);
    const events = await run(model);
    expect(warnings(events)).toEqual([expect.stringContaining("(lm_head.weight): the head is the embedding")]);
    expect(configOf(`${model}-out`)["tie_word_embeddings"]).toBe(true);
    using file = ggufOf(`${model}-out`);
    expect(file.tensors.has("output.weight")).toBe(false);
    expect(await verdict(`${model}-out`)).toEqual({ agrees: true, why: [] });
  });
});

describe("a head that is missing", () => {
  const next = /tie_word_embeddings to true in .*config.json if the head was tied, or download .*lm_head.weight/;

  it.each(["rtn", "gptq", "cbq"] as const)("%s refuses it before anything is read, a dry run too", async (recipe) => {
    const model = headless(`headless-${recipe}`);
    for (const dryRun of [true, false]) {
      const error = await refusal(() =>
        run(model, { recipe, calibration: ["/nowhere.txt"], format: ["compressed-tensors"], dryRun }),
      );
      expect(error.where).toContain("lm_head.weight");
      expect(error.next).toMatch(next);
    }
  });

  it("is refused by eval, generate and export; the first way out works", async () => {
    const model = headless("headless");
    expect((await refusal(() => loadModel(model))).next).toMatch(next);
    writeFileSync(join(model, "config.json"), JSON.stringify({ ...configOf(model), tie_word_embeddings: true }));
    await run(model, { format: ["compressed-tensors"] });
    const result = `${model}-out`;
    const config = join(result, "config.json");
    const text = readFileSync(config, "utf8");
    writeFileSync(config, text.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'));
    const exporting = async (): Promise<void> => {
      for await (const _ of exportResult({ result, format: ["gptq"] }));
    };
    expect((await refusal(exporting)).next).toMatch(next);
    expect((await refusal(() => loadModel(result))).next).toMatch(next);
    writeFileSync(config, text);
    await exporting();
    expect(readdirSync(result)).toContain("gptq");
  });

  it("so is an embedding with other rows than vocab_size, which rtn itself never reads", async () => {
    const model = variant("rows", (config) => {
      config["vocab_size"] = 4095;
    });
    const error = await refusal(() => run(model, { dryRun: true, format: ["compressed-tensors"] }));
    expect(error.what).toMatch(/shape \[4096, 256\], config.json asks for \[4095, 256\]/);
  });

  function headless(name: string): string {
    const folder = variant(name, (config) => {
      config["tie_word_embeddings"] = false;
    });
    const file = join(folder, "model.safetensors");
    const tensors = readTensors(file);
    tensors.delete("lm_head.weight");
    writeTensors(file, tensors);
    return folder;
  }
});

describe("numbers that JSON does not have", () => {
  it("are read in every file, kept where Python reads, and written as standard JSON where JavaScript does", async () => {
    const model = variant("nan", (config) => {
      config["attention_dropout"] = "HERE";
    });
    const config = join(model, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"HERE"', "NaN"));
    writeFileSync(join(model, "generation_config.json"), '{"temperature": Infinity, "eos_token_id": 2}');
    const tokenizer = join(model, "tokenizer_config.json");
    writeFileSync(tokenizer, readFileSync(tokenizer, "utf8").replace("{", '{"longest": Infinity,'));
    const lines = join(scratch, "nan.jsonl");
    writeFileSync(lines, readFileSync(place.text, "utf8").replaceAll('{"text"', '{"score": NaN, "text"'));
    const calibrated = { recipe: "gptq", calibration: [lines], samples: 2, context: 32 } as const;
    await run(model, { ...calibrated, calibration: [...calibrated.calibration] });
    const result = `${model}-out`;
    for (const folder of [result, join(result, "gptq")]) {
      expect(readFileSync(join(folder, "config.json"), "utf8")).toMatch(/"attention_dropout": NaN/);
      expect(readFileSync(join(folder, "generation_config.json"), "utf8")).toContain("Infinity");
    }
    const standard = (name: string): Config => JSON.parse(readFileSync(join(result, "onnx", name), "utf8")) as Config;
    expect(standard("config.json")["attention_dropout"]).toBeNull();
    expect(standard("generation_config.json")["temperature"]).toBe(Number.POSITIVE_INFINITY);
    expect(standard("tokenizer_config.json")["longest"]).toBe(Number.POSITIVE_INFINITY);
    expect(await verdict(result)).toEqual({ agrees: true, why: [] });
    expect(await evaluate(result, { text: lines, context: 32 })).toMatchObject({ event: "perplexity" });
  });

  it("are refused by name where the network needs a number", async () => {
    const model = variant("nan-epsilon", (config) => {
      config["rms_norm_eps"] = "HERE";
    });
    const config = join(model, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"HERE"', "NaN"));
    const error = await refusal(() => loadModel(model));
    expect(error.what).toBe("the key rms_norm_eps is NaN, not a number");
    expect(error.next).toContain("set rms_norm_eps to a number");
  });
});
