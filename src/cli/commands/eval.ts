import { Command } from "commander";
import { loadModel } from "../../api/model.js";
import { OptionError } from "../../errors.js";
import type { ChoicesEvent, PerplexityEvent, ReferenceEvent } from "../../run/events/events.js";
import { DEFAULT_CONTEXT } from "../../run/options/default-context.js";
import { evaluationDefaults } from "../../run/options/evaluation-defaults.js";
import { isGraph } from "../../run/options/graph/is-graph.js";
import { checkInputs } from "../../run/source/check-inputs.js";
import { printLine, runCommand } from "../exit.js";
import { wholeNumber } from "../flags/whole-number.js";
import { wrapped } from "../help/wrapped.js";
import { progressView } from "../progress/progress.js";
import { formatCount } from "../quantities.js";
import { runImages } from "./eval-images.js";

interface Flags {
  readonly text?: readonly string[];
  readonly images?: readonly string[];
  readonly labels?: string;
  readonly set?: readonly string[];
  readonly context?: number;
  readonly reference?: string;
  readonly choices?: string;
  readonly limit?: number;
  readonly delimiter?: string;
  readonly device: string;
  readonly revision?: string;
  readonly json?: boolean;
}

/** `crossblock eval MODEL_OR_RESULT --text PATH...` or `--choices FILE` */
export function evalCommand(): Command {
  return new Command("eval")
    .argument("<model>", "model folder or result, owner/name of either on the Hugging Face Hub, or an ONNX file")
    .option("--revision <name>", "branch, tag or commit of a model of the hub (default: main)")
    .option("--text <paths...>", "perplexity on text files or folders: .txt (a document each), .jsonl, .json, .parquet")
    .option(
      "--context <n>",
      `tokens per sequence of the text (default: ${DEFAULT_CONTEXT}, or the longest that the model was made for)`,
      wholeNumber("--context", 2),
    )
    .option(
      "--reference <model>",
      "KL divergence from this model on the text too, such as the one that was quantized (owner/name@revision on the hub)",
    )
    .option(
      "--images <paths...>",
      "of an ONNX network or its result: accuracy on folders of images, or on prepared tensors (.npy, .safetensors)",
    )
    .option(
      "--labels <file>",
      "classes of the images, `image.png 3` a line or JSON (default: folders, DIR/CLASS/image.png)",
    )
    .option("--set <name=value...>", "what images become: images.crop=224, images.mean=0.5; see quantize --help-all")
    .option("--choices <file>", "accuracy on multiple-choice questions, one a line (see below)")
    .option(
      "--limit <n>",
      "most questions of --choices, or most sequences of --context tokens of --text, from the first (default: all)",
      wholeNumber("--limit", 1),
    )
    .option("--delimiter <text>", "between context and choice that have no white space there (default: one space)")
    .option(
      "--device <device>",
      "cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU",
      evaluationDefaults.device,
    )
    .option("--json", "one JSON object a line on standard output")
    .addHelpText(
      "after",
      [
        "",
        'Questions: {"context": "...", "choices": ["...", "..."], "answer": 0}',
        ...wrapped(
          'Answers are counted from 0, or letters: "A" for the first. "question" may stand for "context", "label" or "gold" for "answer". The log-likelihood of each choice decides, alone and divided by the choice\'s bytes, as in lm-evaluation-harness.',
          0,
        ),
      ].join("\n"),
    )
    .action((model: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run(model, flags, signal)),
    );
}

async function run(folder: string, flags: Flags, signal: AbortSignal): Promise<number> {
  if (flags.images !== undefined || isGraph({ model: folder })) return runImages(folder, flags, signal);
  checkFlags(flags);
  const { text, context, reference, choices, limit, delimiter, device, revision } = flags;
  const most = limit === undefined ? {} : { limit };
  const length = { ...(context !== undefined && { context }), ...most };
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const sentences: string[] = [];
  const tell = (result: object, lines: readonly string[]): void => {
    if (json) printLine(result);
    sentences.push(...lines);
  };
  const work = {
    signal,
    onEvent: (event: Parameters<typeof view.show>[0]) => {
      if (json) printLine(event);
      view.show(event);
    },
  };
  try {
    await checkInputs({ text, choices, reference });
    await using model = await loadModel(folder, { device, ...(revision !== undefined && { revision }), ...work });
    if (choices !== undefined) {
      const questions = {
        choices,
        ...most,
        ...(delimiter !== undefined && { delimiter }),
      };
      const result = await model.choices({ ...questions, ...work });
      tell(result, [choicesSentence(result)]);
    }
    if (text !== undefined && reference !== undefined) {
      const result = await model.compare({ text, reference, ...length, ...work });
      const { perplexity: value, tokens, context, sequences, ofSequences } = result;
      const perplexity = { event: "perplexity", value, tokens, context, sequences, ofSequences } as const;
      tell(result, []);
      tell(perplexity, [perplexitySentence(perplexity), ...referenceSentences(result)]);
    } else if (text !== undefined) {
      const result = await model.perplexity({ text, ...length, ...work });
      tell(result, [perplexitySentence(result)]);
    }
  } finally {
    view.close();
    if (!json) for (const line of sentences) process.stdout.write(`${line}\n`);
  }
  return 0;
}

function checkFlags({ text, context, reference, choices, limit, delimiter, labels, set }: Flags): void {
  if (labels !== undefined || set !== undefined) {
    throw new OptionError({
      where: labels === undefined ? "--set" : "--labels",
      what: "it is for images",
      next: "add --images with folders of images, for an ONNX network",
    });
  }
  if (text === undefined && choices === undefined) {
    throw new OptionError({
      what: "there is nothing to evaluate on",
      next: "give --text with files or folders, or --choices with a file of questions; for an ONNX network --images",
    });
  }
  const alone = (flag: string, value: unknown, needed: string): void => {
    if (value === undefined) return;
    throw new OptionError({ where: flag, what: `it does nothing without ${needed}`, next: `add ${needed}` });
  };
  if (text === undefined) {
    alone("--context", context, "--text");
    alone("--reference", reference, "--text");
  }
  if (choices !== undefined && text !== undefined && limit !== undefined) {
    throw new OptionError({
      where: "--limit",
      what: "it would count questions and sequences alike",
      next: "run eval twice: once with --text, once with --choices",
    });
  }
  if (choices === undefined) {
    alone("--delimiter", delimiter, "--choices");
  }
}

function perplexitySentence({ value, tokens, context, sequences, ofSequences }: PerplexityEvent): string {
  const part =
    sequences === ofSequences
      ? ""
      : `; the first ${formatCount(sequences)} of the text's ${formatCount(ofSequences)} sequences, a part that other figures don't compare to`;
  return `perplexity ${value.toFixed(3)} over ${formatCount(tokens)} tokens, context ${context}${part}`;
}

function referenceSentences(result: ReferenceEvent): string[] {
  const { divergence, referencePerplexity, perplexityRatio, topAgreement, probabilityDifference } = result;
  const nats = (value: number): string => value.toPrecision(3);
  const { mean, stderr, median, p95, p99, max } = divergence;
  const spread = `median ${nats(median)}, 95 % below ${nats(p95)}, 99 % below ${nats(p99)}, largest ${nats(max)}`;
  return [
    `reference  ${referencePerplexity.toFixed(3)}, ratio ${perplexityRatio.toFixed(4)}`,
    `KL divergence ${nats(mean)}${stderr === null ? "" : ` ± ${nats(stderr)}`} nats per token: ${spread}`,
    `same most likely token at ${percent(topAgreement)} of positions`,
    `probability of the text's own token: ${percent(probabilityDifference.mean)} on average, ` +
      `${percent(probabilityDifference.rms)} root mean square`,
  ];
}

function choicesSentence({ accuracy, stderr, accuracyNorm, stderrNorm, questions }: ChoicesEvent): string {
  const shown = (value: number, error: number | null): string =>
    `${percent(value)}${error === null ? "" : ` ± ${percent(error)}`}`;
  const norm = `by log-likelihood per byte ${shown(accuracyNorm, stderrNorm)}`;
  return `accuracy ${shown(accuracy, stderr)}, ${norm}, ${formatCount(questions)} questions`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
