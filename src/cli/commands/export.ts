import { Command } from "commander";
import { exportResult } from "../../api/export-result.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import type { AlreadyThereEvent, DoneEvent, ExportedEvent } from "../../run/events/events.js";
import {
  type ExportResultOptionsInput,
  exportResultSchema,
  resolveExportOptions,
} from "../../run/options/commands/export-result-options.js";
import { alreadyThereNote } from "../event-notes.js";
import { printLine, runCommand } from "../exit.js";
import { flagTerms, inFlagTerms } from "../flags/flag-terms.js";
import { addOptionFlags, givenFlags } from "../help/option-flags.js";
import { progressView } from "../progress/progress.js";
import { printable } from "../progress/render-progress.js";
import { formatBytes, formatSeconds } from "../quantities.js";

interface Flags {
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

/** `crossblock export RESULT --format gguf,gptq --out DIR` */
export function exportCommand(): Command {
  const command = new Command("export").argument(
    "<result>",
    "folder that quantize wrote, or owner/name of a result on the Hugging Face Hub",
  );
  addOptionFlags(command, exportResultSchema);
  return command
    .option("--json", "one JSON object a line on standard output")
    .action((result: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run(result, flags, signal)),
    );
}

async function run(folder: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const given = { ...givenFlags(flags), result: folder };
  const options = inFlagTerms({ ...flags }, () => resolveExportOptions(given));
  const { result } = options;
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const exported: ExportedEvent[] = [];
  const there: AlreadyThereEvent[] = [];
  let done: DoneEvent | null = null;
  try {
    for await (const event of exportResult({ ...(given as unknown as ExportResultOptionsInput), signal })) {
      if (json) printLine(event);
      if (event.event === "exported") exported.push(event);
      else if (event.event === "already-there") there.push(event);
      else if (event.event === "done") done = event;
      view.show(event);
    }
  } catch (error) {
    throw flagTerms({ ...flags }, error);
  } finally {
    view.close();
  }
  if (!json && done !== null) {
    for (const event of there) process.stdout.write(`${printable(alreadyThereNote(event))}\n`);
    for (const { format, path, bytes } of exported)
      process.stdout.write(`${path}: ${format}, ${formatBytes(bytes)} of weights\n`);
    const { seconds, peakMemoryBytes } = done;
    process.stdout.write(`took ${formatSeconds(seconds)}, at most ${formatBytes(peakMemoryBytes)} of memory\n`);
    process.stdout.write(
      `next: crossblock verify ${shellWord(result)}${options.out === null ? "" : ` --export ${shellWord(options.out)}`}\n`,
    );
  }
  return 0;
}
