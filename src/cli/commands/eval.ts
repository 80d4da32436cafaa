import { Command } from "commander";
import { evaluate } from "../../run/model.js";
import { printLine, runCommand } from "../exit.js";
import { progressView } from "../progress.js";
import { formatCount } from "../quantities.js";
import { wholeNumber } from "../whole-number.js";

interface Flags {
  readonly text: readonly string[];
  readonly context: number;
  readonly device: string;
  readonly json?: boolean;
}

/** `crossblock eval MODEL_OR_RESULT --text PATH...` */
export function evalCommand(): Command {
  return new Command("eval")
    .description("perplexity of a model folder or a result on a text")
    .argument("<model>", "model folder, or a result of crossblock")
    .requiredOption("--text <paths...>", "text files or folders: .txt (a document each), .jsonl, .parquet")
    .option("--context <n>", "tokens per window", wholeNumber("--context", 2), 2048)
    .option("--device <device>", "cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU", "auto")
    .option("--json", "one JSON object a line on standard output")
    .action((model: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run(model, flags, signal)),
    );
}

async function run(model: string, { text, context, device, json }: Flags, signal: AbortSignal): Promise<number> {
  const view = progressView(process.stderr, { signal });
  try {
    const result = await evaluate(model, {
      text,
      context,
      device,
      signal,
      onEvent: (event) => {
        if (json === true) printLine(event);
        view.show(event);
      },
    });
    view.close();
    if (json === true) printLine(result);
    else {
      const { value, tokens } = result;
      process.stdout.write(`perplexity ${value.toFixed(3)} over ${formatCount(tokens)} tokens, context ${context}\n`);
    }
  } finally {
    view.close();
  }
  return 0;
}
