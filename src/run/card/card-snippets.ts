import { basename } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { whatLoads } from "../../format/compressed-tensors/what-loads.js";
import type { ActivationQuantization } from "../../format/contract/export-source.js";
import type { FormatName } from "../../format/exporters.js";
import { parseScheme } from "../../quant/scheme.js";
import { oneLine } from "../result/markdown.js";
import type { CardFacts, CardFormat } from "./card-facts.js";

const prompt = "The three primary colours are";

type Snippets = (found: CardFormat, facts: CardFacts) => readonly string[];

/** How each format is used, as Markdown. */
const snippets: Readonly<Record<FormatName, Snippets>> = {
  "compressed-tensors": (found, facts) => {
    const place = placeOf(found, facts);
    const readers = whatLoads(...storedAs(facts));
    const vllm = readers.find(({ reader }) => reader.startsWith("vLLM"));
    const transformers = readers.find(({ reader }) => reader.startsWith("transformers"));
    const dequantize = transformers?.reader.includes("dequantize") === true;
    return [
      ...(vllm === undefined ? [] : block(`${vllm.reader} (${vllm.note})`, "sh", [`vllm serve ${shellWord(place)}`])),
      ...(transformers === undefined ? [] : block("transformers", "python", pythonLines(place, dequantize))),
      ...block("crossblock", "sh", [`npx crossblock generate ${shellWord(place)} --prompt "${prompt}"`]),
    ];
  },
  gptq: (found, facts) => {
    const { place, first } = downloaded(found, facts, `${found.path}/*`);
    const { bits } = parseScheme(facts.record.scheme);
    return [
      ...([4, 8].includes(bits) ? block("vLLM (GPTQ)", "sh", [...first, `vllm serve ${shellWord(place)}`]) : []),
      ...block("GPTQModel", "python", [
        ...first.map((line) => `# ${line}`),
        "from gptqmodel import GPTQModel",
        "",
        `model = GPTQModel.load(${quoted(place)})`,
        `print(model.tokenizer.decode(model.generate(${quoted(prompt)})[0]))`,
      ]),
    ];
  },
  awq: (found, facts) => {
    const { place, first } = downloaded(found, facts, `${found.path}/*`);
    return block("vLLM (AWQ)", "sh", [...first, `vllm serve ${shellWord(place)}`]);
  },
  gguf: (found, facts) => {
    const { place, first } = downloaded(found, facts, found.path);
    return [
      ...block("llama.cpp", "sh", [
        ...first,
        `llama-cli -m ${shellWord(place)} ${facts.chats ? "-cnv" : `-no-cnv -p "${prompt}"`}`,
      ]),
      ...block("node-llama-cpp", "js", nodeLines(place, facts.chats)),
    ];
  },
  qdq: (found, facts) => {
    const { place, first } = downloaded(found, facts, `${found.path}/*`);
    return block("onnxruntime-node", "js", [
      ...first.map((line) => `// ${line}`),
      'import { InferenceSession } from "onnxruntime-node";',
      "",
      `const session = await InferenceSession.create(${quoted(`${place}/model.onnx`)});`,
      "console.log(session.inputMetadata, session.outputMetadata);",
    ]);
  },
  onnx: (found, facts) => {
    const { place, first } = downloaded(found, facts, `${found.path}/*`);
    return block("transformers.js", "js", [
      ...first.map((line) => `// ${line}`),
      'import { resolve } from "node:path";',
      'import { pipeline } from "@huggingface/transformers";',
      "",
      `const generate = await pipeline("text-generation", resolve(${quoted(place)}));`,
      `console.log(await generate(${quoted(prompt)}, { max_new_tokens: 40 }));`,
    ]);
  },
  mlx: (found, facts) => {
    const { place, first } = downloaded(found, facts, `${found.path}/*`);
    return block("mlx-lm", "python", [
      ...first.map((line) => `# ${line}`),
      "from mlx_lm import generate, load",
      "",
      `model, tokenizer = load(${quoted(place)})`,
      `print(generate(model, tokenizer, prompt=${quoted(prompt)}, max_tokens=40))`,
    ]);
  },
};

/** How to use what was written, a snippet for each runtime that reads it. */
export function usage(facts: CardFacts): readonly string[] {
  return facts.formats.flatMap((found) => snippets[found.format](found, facts));
}

function pythonLines(place: string, dequantize: boolean): readonly string[] {
  const names = ["AutoModelForCausalLM", "AutoTokenizer", ...(dequantize ? ["CompressedTensorsConfig"] : [])];
  const more = dequantize ? ", quantization_config=CompressedTensorsConfig(dequantize=True)" : "";
  return [
    `from transformers import ${names.join(", ")}`,
    "",
    `tokenizer = AutoTokenizer.from_pretrained(${quoted(place)})`,
    `model = AutoModelForCausalLM.from_pretrained(${quoted(place)}${more})`,
    `inputs = tokenizer(${quoted(prompt)}, return_tensors="pt")`,
    "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))",
  ];
}

function nodeLines(place: string, chats: boolean): readonly string[] {
  const [kind, ask] = chats ? ["LlamaChatSession", "prompt"] : ["LlamaCompletion", "generateCompletion"];
  return [
    `import { getLlama, ${kind} } from "node-llama-cpp";`,
    "",
    "const llama = await getLlama();",
    `const model = await llama.loadModel({ modelPath: ${quoted(place)} });`,
    "const context = await model.createContext();",
    `const session = new ${kind}({ contextSequence: context.getSequence() });`,
    `console.log(await session.${ask}(${quoted(prompt)}, { maxTokens: 40 }));`,
  ];
}

/** Where a reader that knows the hub finds it: the repository, or the folder. */
function placeOf({ path }: CardFormat, { repository }: CardFacts): string {
  if (repository !== null && path === ".") return repository;
  return path === "." ? "./" : `./${path}`;
}

/** Where it is once it was downloaded, and how that is done; on the hub only a whole repository can be named. */
function downloaded(
  found: CardFormat,
  facts: CardFacts,
  files: string,
): { readonly place: string; readonly first: readonly string[] } {
  const { repository } = facts;
  if (repository === null) return { place: placeOf(found, facts), first: [] };
  const folder = basename(repository);
  const command = `hf download ${shellWord(repository)} --include ${shellWord(files)} --local-dir ${shellWord(folder)}`;
  return { place: `${folder}/${found.path}`, first: [command] };
}

/** The Linears of a result as far as its scheme tells; shapes decide about fast kernels only. */
function storedAs({ record }: CardFacts): Parameters<typeof whatLoads> {
  const { bits, groupSize } = parseScheme(record.scheme);
  const { symmetric, activations } = record;
  const inputs: ActivationQuantization | null =
    activations === null ? null : { ...activations, dynamic: activations.granularity === "token" };
  const layout = { bits, groupSize: groupSize ?? 1, perChannel: groupSize === null, symmetric, rows: 1, columns: 1 };
  return [layout, inputs];
}

function block(title: string, language: string, lines: readonly string[]): string[] {
  return [`**${title}**`, "", `\`\`\`${language}`, ...lines.map(oneTextLine), "```", ""];
}

/** Names of files of others must not end a block of code. */
function oneTextLine(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? "";
  return indent + oneLine(line).replaceAll("```", "'''");
}

/** A string of Python and of JavaScript. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
