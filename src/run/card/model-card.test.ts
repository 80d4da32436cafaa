import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { exporters, formatNames } from "../../format/exporters.js";
import { isSealed, sealed } from "../../format/seal.js";
import { resolveOptions } from "../options/options.js";
import { toldOptions } from "../result/told/told-options.js";
import type { CardFacts } from "./card-facts.js";
import { modelCard } from "./model-card.js";
import { parseSourceCard } from "./source-card.js";

const commit = "c0ffee".padEnd(40, "0");

function facts(over: Partial<CardFacts> = {}, record: Partial<CardFacts["record"]> = {}): CardFacts {
  const options = resolveOptions({ model: "Qwen/Qwen3-0.6B", scheme: "W4A16g64", recipe: "rtn", out: "out" });
  return {
    record: {
      ...{
        version: "1.2.3",
        created: "2026-11-29T01:02:03.000Z",
        name: "Qwen3-0.6B",
        scheme: "W4A16g64",
        symmetric: true,
      },
      ...{ bitsPerWeight: 4.25, recipe: "cbq", preset: "default", options: toldOptions(options) },
      ...{ engine: { torch: "1.13.0", device: "cpu" }, activations: null },
      calibration: { source: "files", tokens: 9000, sequences: 128, context: 2048 },
      origin: { commit, model: "", calibration: [] },
      sizes: { source: 269_000_000 },
      quality: null,
      primary: "compressed-tensors",
      certificate: null,
      ...record,
    },
    source: { license: "apache-2.0", language: ["en", "no"], pipeline_tag: "text-generation" },
    keepsSourceCard: true,
    formats: [{ format: "compressed-tensors", path: ".", bytes: 118_000_000 }],
    chats: true,
    repository: null,
    ...over,
  };
}

const front = (card: string): Record<string, unknown> => parse(card.split("\n---\n")[0]?.slice(4) ?? "") as never;
const all: CardFacts["formats"] = [
  { format: "compressed-tensors", path: ".", bytes: 1 },
  { format: "gptq", path: "gptq", bytes: 2 },
  { format: "gguf", path: "gguf/m-W4A16g64-Q4_0.gguf", bytes: 3 },
  { format: "onnx", path: "onnx", bytes: 4 },
  { format: "awq", path: "awq", bytes: 5 },
  { format: "mlx", path: "mlx", bytes: 6 },
];

describe("a model card", () => {
  it("has the front matter that the hub reads", () => {
    const card = modelCard(facts({ formats: all }));
    expect(front(card)).toEqual({
      base_model: "Qwen/Qwen3-0.6B",
      base_model_relation: "quantized",
      quantized_by: "crossblock 1.2.3",
      library_name: "transformers",
      pipeline_tag: "text-generation",
      license: "apache-2.0",
      language: ["en", "no"],
      tags: [
        ...[
          "crossblock",
          "cbq",
          "W4A16g64",
          "4-bit",
          "compressed-tensors",
          "vllm",
          "gptq",
          "gguf",
          "llama.cpp",
          "onnx",
        ],
        "transformers.js",
        ...["awq", "mlx"],
      ],
    });
    // YAML 1.1, which the hub's Python reads, takes a plain no for false.
    expect(card).toContain('- "no"');
    expect(front(modelCard(facts({ formats: all.slice(2, 3) })))["library_name"]).toBe("gguf");
  });

  it("of a graph names no task, which only its source's card tells", () => {
    const formats = [{ format: "qdq", path: ".", bytes: 1 }] as const;
    const card = modelCard(facts({ formats, source: {} }, { primary: "qdq" }));
    expect(front(card)).toMatchObject({ library_name: "onnxruntime" });
    expect(front(card)).not.toHaveProperty("pipeline_tag");
    const told = modelCard(facts({ formats, source: { pipeline_tag: "image-classification" } }, { primary: "qdq" }));
    expect(front(told)["pipeline_tag"]).toBe("image-classification");
  });

  it("names no base model where a folder was quantized", () => {
    const options = { ...facts().record.options, model: "../my-model" };
    expect(front(modelCard(facts({}, { options })))).not.toHaveProperty("base_model");
  });

  it("tells scheme, recipe with its paper, text, sizes, scores and the certificate", () => {
    const quality = {
      ...{
        text: "1,000 held-out tokens",
        tokens: 1000,
        context: 512,
        divergence: 0.0812,
        roundToNearestDivergence: null,
        seconds: null,
      },
      perplexity: { source: 30, result: 32.5, roundToNearest: 41.94 },
    };
    const lines = ["files agree: gguf", "no runtime ran", "quality: 30 -> 32"];
    const certificate = { created: "2026-11-30T00:00:00Z", verdict: { lines } };
    const card = modelCard(facts({}, { quality, certificate }));
    expect(card).toContain("weights of 4 bits, a scale per 64 columns; 4.25 bits per quantized weight");
    expect(card).toContain("[arXiv 2312.07950](https://arxiv.org/abs/2312.07950)");
    expect(card).toContain("| calibrated on | 128 sequences of 2,048 tokens, chosen from 9,000 |");
    expect(card).toContain("| the source model | | 269 MB |\n| compressed-tensors | `.` | 118 MB |");
    expect(card).toContain(
      "| source model | 30.00 |\n| this result | 32.50 |\n| the same scheme, rounded to nearest | 41.94 |",
    );
    expect(card).toContain("0.081 nats per token");
    for (const line of lines) expect(card).toContain(`- ${line.replace(">", ">")}`);
    expect(modelCard(facts())).not.toContain("## Quality");
    expect(modelCard(facts())).toContain("Not verified yet");
  });

  it("shows how to use what was written, and nothing else", () => {
    const words: Readonly<Record<string, string>> = {
      "compressed-tensors": "AutoModelForCausalLM",
      gptq: "GPTQModel.load",
      awq: "vLLM (AWQ)",
      gguf: "llama-cli -m",
      onnx: "@huggingface/transformers",
      mlx: "mlx_lm",
      qdq: "InferenceSession.create",
    };
    const graph = { format: "qdq", path: ".", bytes: 7 } as const;
    for (const { format } of [...all, graph]) {
      const card = modelCard(facts({ formats: [...all, graph].filter((each) => each.format === format) }));
      for (const name of formatNames)
        expect(card.includes(words[name] ?? "?"), `${name} in ${format}`).toBe(name === format);
    }
    expect(Object.keys(words).sort()).toEqual(Object.keys(exporters).sort());
    const gguf = (chats: boolean): string => modelCard(facts({ chats, formats: all.slice(2, 3) }));
    expect(gguf(true)).toContain("new LlamaChatSession");
    expect(gguf(false)).toContain("new LlamaCompletion");
  });

  it("offers no runtime that does not execute the scheme", () => {
    const activations = { bits: 4, granularity: "token", simulated: "no integer kernels" } as const;
    const simulated = modelCard(
      facts({}, { scheme: "W8A8", symmetric: false, activations: { ...activations, bits: 8 } }),
    );
    expect(simulated).not.toContain("vllm serve");
    expect(simulated).toContain("| simulated | no integer kernels |");
    expect(modelCard(facts({}, { symmetric: false }))).toContain("CompressedTensorsConfig(dequantize=True)");
  });

  it("names the repository once it has one", () => {
    const card = modelCard(facts({ formats: all, repository: "me/w4" }));
    expect(card).toContain("vllm serve me/w4\n");
    expect(card).toContain(
      "hf download me/w4 --include gguf/m-W4A16g64-Q4_0.gguf --local-dir w4\nllama-cli -m w4/gguf/m-W4A16g64-Q4_0.gguf",
    );
  });

  it("is not broken by names of others", () => {
    const evil = "x|y`</td>\n---\nlicense: mit\n# [a](http://evil) <script>\u202e";
    const formats: CardFacts["formats"] = [{ format: "gguf", path: `${evil}\n\`\`\`.gguf`, bytes: 1 }];
    const card = modelCard(
      facts({ formats }, { name: evil, created: evil, options: { model: evil, calibration: [evil] } }),
    );
    expect(front(card)["license"]).toBe("apache-2.0");
    const body = card.split("\n---\n").slice(1).join("\n---\n");
    expect(body).not.toMatch(/^(---|license|# \[a\])/m);
    expect(body.replace(/```[\s\S]*?\n```/g, "").replace(/`[^`\n]*`/g, "")).not.toMatch(
      /<script|<\/td|[^\\]\[a\]|\u202e/,
    );
    expect(card.match(/^```/gm)?.length).toBe(4);
  });
});

describe("the source's front matter", () => {
  it("gives licence, language and task", () => {
    const text =
      "---\r\nlicense: other\r\nlicense_name: llama3\r\nlicense_link: LICENSE\r\nlanguage:\r\n- en\r\n- de\r\n---\r\n# x";
    expect(parseSourceCard(text)).toEqual({
      ...{ license: "other", license_name: "llama3", license_link: "LICENSE", language: ["en", "de"] },
    });
  });

  it("is passed over where it is none, or not what the hub takes", () => {
    for (const text of [
      "",
      "# x\n---\nlicense: mit\n---\n",
      "---\nlicense: [\n---\n",
      "---\n- a\n---\n",
      "---\nlicense: mit",
    ]) {
      expect(parseSourceCard(text), text).toEqual({});
    }
    const odd = "---\nlicense: 'a b\\n'\nlanguage: 7\npipeline_tag: {a: 1}\nlicense_link: |\n  a\n  b\n---\n";
    expect(parseSourceCard(odd)).toEqual({});
    const bomb = `---\na: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefghi"].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${"abcdefgh"[i]}`)}]`).join("\n")}\nlicense: mit\n---\n`;
    expect(parseSourceCard(bomb)).toEqual({});
  });
});

it("a card that was changed is its owner's", () => {
  const card = sealed("# a\n\ntext\n");
  expect(isSealed(card)).toBe(true);
  for (const changed of [card.replace("text", "texts"), `${card}more\n`, card.replace(/<!--.*-->\n/, ""), ""]) {
    expect(isSealed(changed), changed).toBe(false);
  }
});
