import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { quantize } from "../../api/quantize.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { mergeOptions, type UntypedOptions } from "../../recipe/options/merge-options.js";
import type {
  AlreadyThereEvent,
  DoneEvent,
  OutputsEvent,
  PlanEvent,
  QualityEvent,
  QuantizeEvent,
  SizesEvent,
} from "../../run/events/events.js";
import { type RunOptionsInput, resolveOptions, runOptionsSchema } from "../../run/options/options.js";
import { parseAssignments, readConfigFile } from "../../run/options/parse/config-file.js";
import { parseOptions, rejectUnknownKeys } from "../../run/options/parse/parse-options.js";
import { homePath } from "../../run/options/parse/path-option.js";
import { withRecipeSection } from "../../run/options/recipe-sections.js";
import { alreadyThereNote } from "../event-notes.js";
import { printLine, runCommand } from "../exit.js";
import { flagTerms, inFlagTerms } from "../flags/flag-terms.js";
import { gainedLine } from "../gained-text.js";
import { addOptionFlags, givenFlags } from "../help/option-flags.js";
import { settingsHelp } from "../help/settings-help.js";
import { formatPlan, planMissed } from "../plan-text.js";
import { Interruption } from "../progress/interruption.js";
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
    "model folder (config.json, tokenizer.json, safetensors), a name on the Hugging Face Hub, or an ONNX file",
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
  const options = inFlagTerms(flags, () => resolveOptions(given));
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const interruption = new Interruption();
  const seen: Seen = { continued: false };
  try {
    for await (const event of quantize({ ...(given as RunOptionsInput), signal })) {
      if (json) printLine(event);
      else remember(event, seen);
      interruption.apply(event, performance.now() / 1000);
      // A dry run prints the plan itself, and its time is not that of the dry run.
      if (!options.dryRun || event.event !== "plan") view.show(event);
    }
  } catch (error) {
    throw flagTerms(flags, error);
  } finally {
    view.close();
    if (signal.aborted && !options.dryRun) process.stderr.write(`${interruption.text(performance.now() / 1000)}\n`);
  }
  if (!json && seen.there !== undefined) {
    process.stdout.write(`${printable(alreadyThereNote(seen.there))}\n${nextLine(seen.there.path)}`);
  }
  if (!json && seen.plan !== undefined && seen.done !== undefined) {
    process.stdout.write(options.dryRun ? formatPlan(seen.plan) : summary(seen.plan, seen, seen.done));
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
  quality?: QualityEvent | OutputsEvent;
  sizes?: SizesEvent;
  /** Earlier sessions have done a part. */
  continued: boolean;
  done?: DoneEvent;
}

function remember(event: QuantizeEvent, seen: Seen): void {
  if (event.event === "already-there") seen.there = event;
  else if (event.event === "plan") seen.plan = event;
  else if (event.event === "continued") seen.continued = true;
  else if (event.event === "quality" || event.event === "outputs") seen.quality = event;
  else if (event.event === "sizes") seen.sizes = event;
  else if (event.event === "done") seen.done = event;
}

function nextLine(out: string): string {
  const verify = `next: crossblock verify ${shellWord(out)}\n`;
  if (existsSync(join(out, "model.onnx"))) {
    return isSampled(out) ? verify : `next: crossblock eval ${shellWord(out)} --images PATH\n`;
  }
  // Without a tokenizer nothing can be measured on a text.
  if (!existsSync(join(out, "tokenizer.json"))) return verify;
  return `next: crossblock ${answers(out) ? `chat ${shellWord(out)}` : `eval ${shellWord(out)} --text PATH`}\n`;
}

/** Whether it is the network of a diffusion model, which images can't be given to. */
function isSampled(out: string): boolean {
  const path = join(out, "crossblock.json");
  if (!existsSync(path)) return false;
  const { options } = JSON.parse(readFileSync(path, "utf8")) as { options?: { sampler?: string | null } };
  return (options?.sampler ?? null) !== null;
}

/** Whether the tokenizer has a chat template. */
function answers(out: string): boolean {
  if (existsSync(join(out, "chat_template.jinja"))) return true;
  const path = join(out, "tokenizer_config.json");
  return existsSync(path) && "chat_template" in (JSON.parse(readFileSync(path, "utf8")) as object);
}

function summary(plan: PlanEvent, { quality, sizes, continued }: Seen, done: DoneEvent): string {
  // The plan is of the whole run.
  const missed = continued ? null : planMissed(plan, done.seconds);
  const out = done.out ?? "";
  const device = done.devicePeakBytes === null ? "" : `, ${formatBytes(done.devicePeakBytes)} on the device`;
  return [
    `${out}: ${plan.scheme}, ${plan.bitsPerWeight.toFixed(2)} bits per quantized weight`,
    ...(sizes === undefined ? [] : [gainedLine(quality, sizes)]),
    `took ${formatSeconds(done.seconds)}${continued ? " in this session" : ""}, at most ${formatBytes(done.peakMemoryBytes)} of memory${device}`,
    ...(missed === null ? [] : [missed]),
    ...(plan.simulatedActivations === null ? [] : [`simulated: ${plan.simulatedActivations}`]),
    nextLine(out),
  ].join("\n");
}
