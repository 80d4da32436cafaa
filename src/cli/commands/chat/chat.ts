import { Command } from "commander";
import { generationParameters } from "../../../api/answer-options.js";
import { type AnswerOptions, loadModel, type Model } from "../../../api/model.js";
import { shellWord } from "../../../checkpoint/file-system/shell-word.js";
import { InputError } from "../../../errors.js";
import { evaluationDefaults } from "../../../run/options/evaluation-defaults.js";
import { runCommand } from "../../exit.js";
import { addSamplingFlags, type SamplingFlags } from "../../flags/sampling-flags.js";
import { wholeNumber } from "../../flags/whole-number.js";
import { wrapped } from "../../help/wrapped.js";
import { progressView } from "../../progress/progress.js";
import { printable } from "../../progress/render-progress.js";
import { harmless } from "../../terminal/harmless.js";
import { chatLines } from "./chat-lines.js";
import { ChatSession } from "./chat-session.js";

interface Flags extends SamplingFlags {
  readonly system?: string;
  readonly tokens?: number;
  readonly device: string;
  readonly revision?: string;
}

/** What a conversation is sampled with where nothing else is asked for: a small model repeats itself at temperature 0. */
const TEMPERATURE = 0.7;
const TOP_P = 0.95;

/** `crossblock chat MODEL_OR_RESULT` */
export function chatCommand(): Command {
  const command = new Command("chat")
    .argument("<model>", "model folder or result, or owner/name of either on the Hugging Face Hub")
    .option("--revision <name>", "branch, tag or commit of a model of the hub (default: main)")
    .option("--system <text>", "system message, which says what the model is to be")
    .option(
      "--tokens <n>",
      "most tokens of an answer (default: as many as the context has room for)",
      wholeNumber("--tokens", 1),
    );
  return addSamplingFlags(command, { temperature: `${TEMPERATURE}`, topP: `${TOP_P}`, seed: "another one each time" })
    .option(
      "--device <device>",
      "cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU",
      evaluationDefaults.device,
    )
    .addHelpText(
      "after",
      [
        "",
        ...wrapped(
          "In the conversation: /reset begins a new one, /system TEXT one with this system message, /exit ends.",
          0,
        ),
        "Ctrl-C stops an answer; twice, or where nothing is being answered, it ends.",
        ...wrapped(
          "Where standard input is no terminal, each of its lines is a message and the answers go to standard output.",
          0,
        ),
      ].join("\n"),
    )
    .action((model: string, flags: Flags) => runCommand({ json: false }, (signal) => open(model, flags, signal)));
}

async function open(folder: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const options = answerOptions(flags);
  // Refused before the model is loaded.
  generationParameters(options);
  const view = progressView(process.stderr, { signal });
  try {
    await using model = await loadModel(folder, {
      device: flags.device,
      ...(flags.revision !== undefined && { revision: flags.revision }),
      signal,
      onEvent: (event) => view.show(event),
    });
    if (!(await model.hasChatTemplate({ signal }))) throw noTemplate(folder);
    view.close();
    await converse(model, folder, { system: flags.system ?? null, options, signal });
  } finally {
    view.close();
  }
  return 0;
}

interface Talk {
  readonly system: string | null;
  readonly options: AnswerOptions;
  readonly signal: AbortSignal;
}

async function converse(model: Model, folder: string, { system, options, signal }: Talk): Promise<void> {
  const { stdin, stdout, stderr } = process;
  // Every answer has a seed of its own: the same question again is another draw.
  let seed = options.seed ?? 0;
  const session = new ChatSession(
    {
      answer: (messages, stopping) =>
        model.chat(messages, { ...options, ...(options.seed !== undefined && { seed: seed++ }), signal: stopping }),
      write: (text) => void stdout.write(stdout.isTTY ? harmless(text) : text),
      note: (line) => void stderr.write(`${line}\n`),
    },
    system,
  );
  if (stdin.isTTY) {
    stderr.write(`${printable(folder)}: context of ${model.contextLength} tokens; /help says what else there is\n`);
  }
  // The first Ctrl-C stops an answer, the next one ends: it finds an answer that was stopped already, or none.
  const over = new AbortController();
  const end = (): void => over.abort();
  const interrupt = (): void => {
    if (!session.stop()) end();
  };
  const ended = new Promise<null>((resolve) => over.signal.addEventListener("abort", () => resolve(null)));
  const others = process.listeners("SIGINT") as NodeJS.SignalsListener[];
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", interrupt);
  signal.addEventListener("abort", end);
  try {
    for await (const line of chatLines({ input: stdin, output: stderr, signal: over.signal }, "> ")) {
      const taken = session.take(line);
      // Where it ends amid an answer, nobody hears how that went.
      taken.catch(() => {});
      if ((await Promise.race([taken, ended])) !== true) return;
    }
  } finally {
    process.off("SIGINT", interrupt);
    signal.removeEventListener("abort", end);
    for (const listener of others) process.on("SIGINT", listener);
    stdin.unref();
  }
}

/** What is sampled with, where nothing else is asked for. */
function answerOptions({ tokens, stop, topK, seed, ...flags }: Flags): AnswerOptions {
  const temperature = flags.temperature ?? TEMPERATURE;
  const topP = flags.topP ?? (temperature > 0 ? TOP_P : undefined);
  const drawn = seed ?? (temperature > 0 ? Math.floor(Math.random() * 2 ** 31) : undefined);
  return {
    temperature,
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && { topK }),
    ...(drawn !== undefined && { seed: drawn }),
    ...(tokens !== undefined && { tokens }),
    ...(stop !== undefined && { stop }),
  };
}

function noTemplate(folder: string): InputError {
  return new InputError({
    where: folder,
    what: "the model has no chat template, so that it can't be talked with",
    why: "it continues texts",
    next: `continue one: crossblock generate ${shellWord(folder)} --prompt "Once upon a time"`,
  });
}
