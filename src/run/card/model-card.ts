import { stringify } from "yaml";
import type { FormatName } from "../../format/exporters.js";
import { parseScheme } from "../../quant/scheme.js";
import { recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import { graphFormat } from "../options/graph/is-graph.js";
import { cell, code } from "../result/markdown.js";
import type { CardFacts, CardFormat } from "./card-facts.js";
import { usage } from "./card-snippets.js";
import { makeAgainCommand } from "./make-again.js";
import { qualityTable } from "./quality-table.js";

/** What the hub calls a library that loads a format, and tags by which people look for it. */
const hubWords: Readonly<Record<FormatName, { readonly library: string; readonly tags: readonly string[] }>> = {
  "compressed-tensors": { library: "transformers", tags: ["compressed-tensors", "vllm"] },
  gptq: { library: "transformers", tags: ["gptq"] },
  awq: { library: "transformers", tags: ["awq"] },
  gguf: { library: "gguf", tags: ["gguf", "llama.cpp"] },
  qdq: { library: "onnxruntime", tags: ["onnx", "onnxruntime"] },
  onnx: { library: "transformers.js", tags: ["onnx", "transformers.js"] },
  mlx: { library: "mlx", tags: ["mlx"] },
};

/** The model card of a result or of one of its exports, in Markdown with the front matter that the hub reads. */
export function modelCard(facts: CardFacts): string {
  const { record, formats } = facts;
  const command = makeAgainCommand(record);
  const sections = [
    ["Files", filesTable(facts)],
    ["Quality", qualityTable(record.quality)],
    ["Use", usage(facts)],
    ["Make it again", command === null ? [] : ["```sh", command, "```"]],
    ["Certificate", certificateLines(facts)],
  ] as const;
  return [
    "---",
    stringify(frontMatter(facts), { version: "1.1", lineWidth: 0 }).trimEnd(),
    "---",
    "",
    `# ${cell(record.name)}, ${cell(record.scheme)}${formats.length === 1 ? `, ${formats[0]?.format}` : ""}`,
    "",
    ...summary(facts),
    ...sections.flatMap(([title, lines]) => (lines.length === 0 ? [] : ["", `## ${title}`, "", ...lines])),
    "",
  ]
    .join("\n")
    .replace(/\n{3,}/g, "\n\n");
}

/** `owner/name` of the source model; null for a folder, whose name is none of the hub's. */
function baseModel({ record }: CardFacts): string | null {
  const model = record.options["model"];
  return record.origin !== undefined && typeof model === "string" && /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(model)
    ? model
    : null;
}

function frontMatter(facts: CardFacts): object {
  const { record, source, formats } = facts;
  const base = baseModel(facts);
  const { license, license_name, license_link, language, pipeline_tag = usualTask(record) } = source;
  const primary = formats[0]?.format ?? "compressed-tensors";
  const bits = `${parseScheme(record.scheme).bits}-bit`;
  const tags = [
    "crossblock",
    record.recipe,
    record.scheme,
    bits,
    ...formats.flatMap(({ format }) => hubWords[format].tags),
  ];
  return {
    ...(base !== null && { base_model: base, base_model_relation: "quantized" }),
    quantized_by: `crossblock ${record.version}`,
    library_name: hubWords[primary].library,
    ...(pipeline_tag !== null && { pipeline_tag }),
    ...(license !== undefined && { license }),
    ...(license_name !== undefined && { license_name }),
    ...(license_link !== undefined && { license_link }),
    ...(language !== undefined && { language }),
    tags: [...new Set(tags)],
  };
}

/** What a graph is for nobody can tell from it. */
function usualTask({ primary }: CardFacts["record"]): string | null {
  return primary === graphFormat ? null : "text-generation";
}

function summary(facts: CardFacts): string[] {
  const { record } = facts;
  const base = baseModel(facts);
  const { bits, groupSize, activationBits } = parseScheme(record.scheme);
  const commit = record.origin?.commit?.slice(0, 12);
  const made = `${code(record.name)}${base === null ? "" : ` ([${base}](https://huggingface.co/${base})${commit ? `, commit ${code(commit)}` : ""})`}`;
  const recipe = recipeNames.find((name) => name === record.recipe);
  const rows: readonly (readonly [string, string])[] = [
    [
      "scheme",
      `${cell(record.scheme)}: weights of ${bits} bits, ${groupSize === null ? "a scale per row" : `a scale per ${groupSize} columns`}` +
        `${record.symmetric ? "" : " with a zero point"}; ${record.bitsPerWeight.toFixed(2)} bits per quantized weight with its scales; ` +
        (activationBits === 16 ? "inputs as they are" : `inputs of ${activationBits} bits`),
    ],
    ...(record.activations?.simulated ? [["simulated", cell(record.activations.simulated)] as const] : []),
    [
      "recipe",
      recipe === undefined
        ? cell(record.recipe)
        : `${recipeOf(recipe).title} (${paperLink(recipeOf(recipe).paper)}), preset ${cell(record.preset)}`,
    ],
    ...(record.effort ? [["effort", cell(record.effort.name)] as const] : []),
    ["calibrated on", calibrationText(facts)],
    [
      "made by",
      `crossblock ${cell(record.version)}, libtorch ${cell(record.engine.torch)}, ${cell(record.engine.device)}, ${cell(record.created.slice(0, 10))}`,
    ],
  ];
  return [
    `${made}, quantized by crossblock.${facts.keepsSourceCard ? " The source model's own card is `README.source.md`." : ""}`,
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
  ];
}

function paperLink(paper: string): string {
  const id = /^arXiv ([\d.]+)$/.exec(paper)?.[1];
  return id === undefined ? paper : `[${paper}](https://arxiv.org/abs/${id})`;
}

function calibrationText({ record: { calibration, options } }: CardFacts): string {
  if (calibration === null) return "nothing";
  const { sequences, context, tokens, source } = calibration;
  const given = [options["calibration"]].flat().filter((entry) => typeof entry === "string");
  const named = given.map((entry) => code(entry.replace(/^.*\.\.\//, ""))).join(", ");
  const count = (value: number): string => value.toLocaleString("en-US");
  if (source === "images" || source === "tensors") {
    return `${count(sequences)} ${source === "images" ? "images" : "examples"}, chosen from ${count(tokens)}${named === "" ? "" : ` in ${named}`}`;
  }
  const from =
    source === "self-generated"
      ? " that the model made up"
      : `, chosen from ${count(tokens)}${source === "bundled" ? " that come with crossblock" : named === "" ? "" : ` in ${named}`}`;
  return `${count(sequences)} sequences of ${count(context)} tokens${from}`;
}

function filesTable({ record, formats }: CardFacts): string[] {
  const source = record.sizes?.source;
  return [
    "| format | place | weights |",
    "|---|---|---|",
    ...(source === undefined ? [] : [`| the source model | | ${megabytes(source)} |`]),
    ...formats.map(({ format, path, bytes }: CardFormat) => `| ${format} | ${code(path)} | ${megabytes(bytes)} |`),
  ];
}

function certificateLines({ record: { certificate } }: CardFacts): string[] {
  if (certificate === null)
    return ["Not verified yet: `crossblock verify` compares every file with the recorded hashes."];
  return [
    ...certificate.verdict.lines.map((line) => `- ${cell(line)}`),
    "",
    `By \`crossblock verify\`, ${cell(certificate.created.slice(0, 10))}; the whole of it is in \`certificate.md\` of the result.`,
  ];
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
