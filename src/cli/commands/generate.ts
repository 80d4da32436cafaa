import { Command } from "commander";
import { generationParameters } from "../../api/answer-options.js";
import { type Generated, type GenerateOptions, loadModel } from "../../api/model.js";
import { evaluationDefaults } from "../../run/options/evaluation-defaults.js";
import { printLine, runCommand } from "../exit.js";
import { addSamplingFlags, type SamplingFlags } from "../flags/sampling-flags.js";
import { wholeNumber } from "../flags/whole-number.js";
import { progressView } from "../progress/progress.js";
import { harmless } from "../terminal/harmless.js";

interface Flags extends SamplingFlags {
  readonly prompt: string;
  readonly raw?: boolean;
  readonly tokens?: number;
  readonly device: string;
  readonly json?: boolean;
  readonly revision?: string;
}

/** `crossblock generate MODEL_OR_RESULT --prompt TEXT` */
export function generateCommand(): Command {
  const { tokens, answerTokens, temperature, seed, device } = evaluationDefaults;
  const command = new Command("generate")
    .argument("<model>", "model folder or result, or owner/name of either on the Hugging Face Hub")
    .option("--revision <name>", "branch, tag or commit of a model of the hub (default: main)")
    .requiredOption("--prompt <text>", "text to answer or to continue")
    .option("--raw", "continue the prompt as it is, also where the model has a chat template")
    .option(
      "--tokens <n>",
      `most tokens to generate (default: ${tokens}; ${answerTokens} for an answer)`,
      wholeNumber("--tokens", 1),
    );
  return addSamplingFlags(command, { temperature: `${temperature}`, topP: "1: all", seed: `${seed}` })
    .option("--device <device>", "cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU", device)
    .option("--json", "one JSON object a line on standard output: pieces of text, and how it ended")
    .action((model: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run(model, flags, signal)),
    );
}

async function run(folder: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const { prompt, device, json = false, revision, ...given } = flags;
  // Refused before the model is loaded.
  generationParameters(given as GenerateOptions);
  const view = progressView(process.stderr, { signal });
  try {
    await using model = await loadModel(folder, {
      device,
      ...(revision !== undefined && { revision }),
      signal,
      onEvent: (event) => {
        if (json) printLine(event);
        view.show(event);
      },
    });
    const chat = given.raw !== true && (await model.hasChatTemplate({ signal }));
    view.close();
    const pieces = model.generate(prompt, { ...(given as GenerateOptions), signal });
    if (json) await writeJson(pieces);
    else await writeText(pieces, chat ? "" : prompt);
  } finally {
    view.close();
  }
  return 0;
}

async function writeText(pieces: AsyncGenerator<string, Generated>, before: string): Promise<void> {
  // The prompt is written once nothing is left to refuse.
  let unwritten = before;
  for (;;) {
    const next = await pieces.next();
    const text = unwritten + (next.done === true ? "\n" : next.value);
    process.stdout.write(process.stdout.isTTY ? harmless(text) : text);
    unwritten = "";
    if (next.done !== true) continue;
    process.stderr.write(endingNote(next.value));
    return;
  }
}

async function writeJson(pieces: AsyncGenerator<string, Generated>): Promise<void> {
  let text = "";
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) {
      printLine({ event: "generated", text, ...next.value });
      return;
    }
    text += next.value;
    printLine({ event: "text", text: next.value });
  }
}

function endingNote({ ended, tokens }: Generated): string {
  if (ended === "end token") return "(the model ended here)\n";
  if (ended === "stop text") return "(a stop text ended it)\n";
  if (ended === "context") return "(the model's context is full)\n";
  return `(stopped after ${tokens} tokens; --tokens gives more)\n`;
}
