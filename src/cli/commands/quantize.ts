import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { quantize } from "../../api/quantize.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { mergeOptions, type UntypedOptions } from "../../recipe/options/merge-options.js";
import type { AlreadyThereEvent, DoneEvent, ExportedEvent, PlanEvent, QuantizeEvent } from "../../run/events/events.js";
import { type RunOptionsInput, resolveOptions, runOptionsSchema } from "../../run/options/options.js";
import { parseAssignments, readConfigFile } from "../../run/options/parse/config-file.js";
import { parseOptions, rejectUnknownKeys } from "../../run/options/parse/parse-options.js";
import { homePath } from "../../run/options/parse/path-option.js";
import { withRecipeSection } from "../../run/options/recipe-sections.js";
import { alreadyThereNote } from "../event-notes.js";
import { printLine, runCommand } from "../exit.js";
import { addOptionFlags, givenFlags } from "../help/option-flags.js";
import { settingsHelp } from "../help/settings-help.js";
import { formatPlan } from "../plan-text.js";
import { progressView } from "../progress/progress.js";
import { printable } from "../progress/render-progress.js";
import { formatBytes, formatSeconds } from "../quantities.js";

interface Flags {
  readonly set?: readonly string[];
  readonly config?: string;
  readonly json?: boolean;
  readonly helpAll?: boolean;
  readonly [name: string]: unknown;
}

/** `crossblock quantize MODEL --scheme W2A16g64 --calibration PATH... --out DIR` */
export function quantizeCommand(): Command {
  const command = new Command("quantize").argument(
    "[model]",
    "model folder (config.json, tokenizer.json, safetensors), or a name on the Hugging Face Hub",
  );
  addOptionFlags(command, runOptionsSchema);
  return command
    .optionsGroup("Common:")
    .option("--set <name=value...>", "set any option by name; --help-all lists them")
    .option("--config <file>", "options from a JSON file, comments allowed; flags and --set win over it")
    .option("--json", "one JSON object a line on standard output")
    .option("--help-all", "this help, and the settings of the recipe that is given beside it")
    .action((model: string | undefined, flags: Flags) =>
      runCommand({ json: flags.json === true }, async (signal) => {
        if (flags.helpAll !== true) return run(model, flags, signal);
        process.stdout.write(`${command.helpInformation()}\n${await allSettings(flags)}\n`);
        return 0;
      }),
    );
}

async function run(model: string | undefined, flags: Flags, signal: AbortSignal): Promise<number> {
  // As given: what is resolved has values for options that the recipe does not read.
  const given = mergeOptions(await givenOptions(flags), { model });
  const options = resolveOptions(given);
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const seen: Seen = { exported: [] };
  try {
    for await (const event of quantize({ ...(given as RunOptionsInput), signal })) {
      if (json) printLine(event);
      else remember(event, seen);
      view.show(event);
    }
  } finally {
    view.close();
    if (signal.aborted && !options.dryRun) process.stderr.write("run the same command again: it continues\n");
  }
  if (!json && seen.there !== undefined) {
    process.stdout.write(`${printable(alreadyThereNote(seen.there))}\n${nextLine(seen.there.path)}`);
  }
  if (!json && seen.plan !== undefined && seen.done !== undefined) {
    process.stdout.write(options.dryRun ? formatPlan(seen.plan) : summary(seen.plan, seen.exported, seen.done));
  }
  return 0;
}

async function givenOptions(flags: Flags): Promise<UntypedOptions> {
  const file = flags.config === undefined ? {} : await readConfigFile(homePath(flags.config, "--config"));
  const over = mergeOptions(parseAssignments(flags.set ?? []), givenFlags(flags));
  return mergeOptions(withRecipeSection(file, over), over);
}

async function allSettings(flags: Flags): Promise<string> {
  const given = await givenOptions(flags);
  rejectUnknownKeys(runOptionsSchema, given);
  const { recipe, preset } = parseOptions(runOptionsSchema.partial(), given);
  return settingsHelp({ ...(recipe !== undefined && { recipe }), ...(preset !== undefined && { preset }), given });
}

/** What the last lines are made of. */
interface Seen {
  plan?: PlanEvent;
  there?: AlreadyThereEvent;
  exported: ExportedEvent[];
  done?: DoneEvent;
}

function remember(event: QuantizeEvent, seen: Seen): void {
  if (event.event === "already-there") seen.there = event;
  else if (event.event === "plan") seen.plan = event;
  else if (event.event === "exported") seen.exported.push(event);
  else if (event.event === "done") seen.done = event;
}

function nextLine(out: string): string {
  // Without a tokenizer nothing can be measured on a text.
  if (!existsSync(join(out, "tokenizer.json"))) return `next: crossblock verify ${shellWord(out)}\n`;
  return `next: crossblock eval ${shellWord(out)} --text PATH\n`;
}

function summary(plan: PlanEvent, exported: readonly ExportedEvent[], done: DoneEvent): string {
  const out = done.out ?? "";
  const device = done.devicePeakBytes === null ? "" : `, ${formatBytes(done.devicePeakBytes)} on the device`;
  const bytes = exported.reduce((sum, entry) => sum + entry.bytes, 0);
  return [
    `${out}: ${plan.scheme}, ${plan.bitsPerWeight.toFixed(2)} bits per quantized weight, ${formatBytes(bytes)}`,
    `took ${formatSeconds(done.seconds)}, at most ${formatBytes(done.peakMemoryBytes)} of memory${device}`,
    ...(plan.simulatedActivations === null ? [] : [`simulated: ${plan.simulatedActivations}`]),
    nextLine(out),
  ].join("\n");
}
