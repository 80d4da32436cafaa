/** A command line that help shows, and what it is for. */
export interface Example {
  readonly what: string;
  /** What follows `crossblock`. */
  readonly args: string;
}

/** Examples by command; on a model called `model` beside a folder `texts`. */
export const examples: Readonly<Record<string, readonly Example[]>> = {
  quantize: [
    {
      what: "four bits, for llama.cpp, from a model folder or a name on the Hub",
      args: "quantize ./model --scheme W4A16g64 --calibration texts/ --out w4 --format gguf",
    },
    {
      what: "round to nearest: no text, seconds",
      args: "quantize ./model --recipe rtn --scheme W4A16g64 --out rtn",
    },
    {
      what: "checks, memory and time of two bits, with text that the model makes up",
      args: "quantize ./model --scheme W2A16g64 --asym --calibration self-generated --out w2 --dry-run",
    },
  ],
  export: [
    { what: "for llama.cpp and onnxruntime", args: "export rtn --format gguf,onnx" },
    { what: "for vLLM, to another folder", args: "export rtn --format gptq --out exports" },
    {
      what: "a smaller GGUF: the embedding in eight bits",
      args: "export rtn --format gguf --gguf-embedding q8_0 --out small",
    },
  ],
  verify: [
    { what: "the result and the exports in its folder", args: "verify rtn" },
    { what: "exports elsewhere", args: "verify rtn --export exports" },
    { what: "the files only, without runtimes", args: "verify rtn --no-runtimes" },
  ],
  eval: [
    { what: "perplexity", args: "eval rtn --text texts/" },
    { what: "distance from the model that was quantized", args: "eval rtn --text texts/ --reference ./model" },
    { what: "accuracy on multiple-choice questions", args: "eval rtn --choices questions.jsonl --limit 100" },
  ],
  generate: [
    { what: "the most likely continuation", args: 'generate rtn --prompt "The state of the union is"' },
    {
      what: "a livelier one",
      args: 'generate rtn --prompt "The state of the union is" --temperature 0.8 --seed 1',
    },
    { what: "of the original, on the CPU", args: "generate ./model --prompt Yes --tokens 8 --device cpu" },
  ],
  chat: [
    { what: "a conversation", args: "chat rtn" },
    { what: "with a system message", args: 'chat rtn --system "Answer in one sentence."' },
    { what: "the likeliest answers, of the original", args: "chat ./model --temperature 0 --tokens 8" },
  ],
  push: [
    { what: "files and sizes; asks nobody", args: "push rtn me/model-w4 --dry-run" },
    { what: "to a repository that only you see", args: "push rtn me/model-w4 --private" },
  ],
  inspect: [
    { what: "types, sizes, histograms of codes", args: "inspect rtn" },
    { what: "a line for every tensor of a GGUF file", args: "inspect rtn/gguf --tensors" },
    { what: "for a program", args: "inspect ./model --json" },
  ],
  recipes: [{ what: "for a program", args: "recipes --json" }],
  schema: [{ what: "for editors that check a configuration file", args: "schema > crossblock.schema.json" }],
  doctor: [{ what: "for a program", args: "doctor --json" }],
};

/** The examples of a command, as help prints them. */
export function exampleText(name: string): string {
  const shown = examples[name] ?? [];
  const lines = shown.flatMap(({ what, args }) => [`  # ${what}`, ...folded(`crossblock ${args}`)]);
  return shown.length === 0 ? "" : ["", "Examples:", ...lines].join("\n");
}

/** A command line in lines of at most 80 characters, cut before a flag. */
function folded(command: string): readonly string[] {
  const lines: string[] = [];
  for (const part of command.split(/ (?=--)/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length < 76) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(part);
  }
  return lines.map((line, i) => `  ${i === 0 ? "" : "  "}${line}${i < lines.length - 1 ? " \\" : ""}`);
}
