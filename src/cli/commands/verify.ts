import { Command } from "commander";
import { verifyResult } from "../../api/verify-result.js";
import type { CertifiedEvent } from "../../run/events/events.js";
import { verifySchema } from "../../run/options/commands/verify-options.js";
import { printLine, runCommand } from "../exit.js";
import { addOptionFlags, givenFlags } from "../help/option-flags.js";
import { progressView } from "../progress/progress.js";
import { printable } from "../progress/render-progress.js";

interface Flags {
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

/** `crossblock verify RESULT`: exits with 1 when anything disagrees. */
export function verifyCommand(): Command {
  const command = new Command("verify").argument(
    "<result>",
    "folder that quantize wrote, or owner/name of a result on the Hugging Face Hub",
  );
  addOptionFlags(command, verifySchema);
  return command
    .option("--json", "one JSON object a line on standard output")
    .action((result: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run(result, flags, signal)),
    );
}

async function run(result: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const given = { ...givenFlags(flags), result };
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const lines: string[] = [];
  let certified: CertifiedEvent | null = null;
  try {
    for await (const event of verifyResult({ ...given, signal })) {
      if (json) printLine(event);
      view.show(event);
      if (event.event === "disagreement") lines.push(`${event.path}: ${event.tensor}: ${event.what}`);
      else if (event.event === "verified") {
        const { path, format, agrees, tensors, runtime } = event;
        lines.push(`${path}: ${format}, ${tensors} tensors, ${agrees ? "agrees" : "DISAGREES"}`, `  ${runtime}`);
      } else if (event.event === "certified") certified = event;
    }
  } finally {
    view.close();
  }
  if (!json) {
    for (const line of [...lines, ...(certified?.lines ?? [])]) process.stdout.write(`${printable(line)}\n`);
    for (const file of certified?.files ?? []) process.stdout.write(`wrote ${file}\n`);
  }
  return certified?.agrees === true ? 0 : 1;
}
