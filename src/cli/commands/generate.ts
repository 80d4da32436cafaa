import { Command } from "commander";
import { loadModel } from "../../api/model.js";
import { OptionError } from "../../errors.js";
import { evaluationDefaults } from "../../run/options/evaluation-defaults.js";
import { runCommand } from "../exit.js";
import { progressView } from "../progress/progress.js";
import { wholeNumber } from "../whole-number.js";

interface Flags {
  readonly prompt: string;
  readonly tokens: number;
  readonly temperature: number;
  readonly seed?: number;
  readonly device: string;
}

/** `crossblock generate MODEL_OR_RESULT --prompt TEXT` */
export function generateCommand(): Command {
  return new Command("generate")
    .argument("<model>", "model folder, or a result of crossblock")
    .requiredOption("--prompt <text>", "text to continue")
    .option("--tokens <n>", "most tokens to generate", wholeNumber("--tokens", 1), evaluationDefaults.tokens)
    .option(
      "--temperature <t>",
      "0 takes the most likely token; higher values sample",
      temperature,
      evaluationDefaults.temperature,
    )
    .option(
      "--seed <n>",
      `seed of the sampling, with --temperature above 0 (default: ${evaluationDefaults.seed})`,
      wholeNumber("--seed", 0),
    )
    .option(
      "--device <device>",
      "cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU",
      evaluationDefaults.device,
    )
    .action((model: string, flags: Flags) => runCommand({ json: false }, (signal) => run(model, flags, signal)));
}

async function run(folder: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const { prompt, device, ...options } = flags;
  const view = progressView(process.stderr, { signal });
  try {
    await using model = await loadModel(folder, { device, signal, onEvent: (event) => view.show(event) });
    view.close();
    // The prompt is written once nothing is left to refuse.
    let begun = false;
    for await (const text of model.generate(prompt, { ...options, signal })) {
      process.stdout.write(begun ? text : prompt + text);
      begun = true;
    }
    process.stdout.write(begun ? "\n" : `${prompt}\n`);
  } finally {
    view.close();
  }
  return 0;
}

function temperature(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text.trim() === "") {
    throw new OptionError({
      where: "--temperature",
      what: `"${text}" is no number of at least 0`,
      next: "give 0 for the most likely text, 0.8 for a livelier one",
    });
  }
  return value;
}
