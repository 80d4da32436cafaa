import { Command } from "commander";
import { pushResult } from "../../api/push-result.js";
import type { PushedEvent, PushPlanEvent } from "../../run/events/push-events.js";
import { type PushOptionsInput, pushSchema } from "../../run/options/commands/push-options.js";
import { printLine, runCommand } from "../exit.js";
import { addOptionFlags, givenFlags } from "../help/option-flags.js";
import { progressView } from "../progress/progress.js";
import { printable } from "../progress/render-progress.js";
import { formatBytes, formatCount } from "../quantities.js";

interface Flags {
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

/** `crossblock push RESULT owner/name` */
export function pushCommand(): Command {
  const command = new Command("push")
    .argument("<result>", "folder that quantize wrote")
    .argument("<repository>", "owner/name on the hub; it is created if it is missing");
  addOptionFlags(command, pushSchema);
  return command
    .option("--json", "one JSON object a line on standard output")
    .action((result: string, repository: string, flags: Flags) =>
      runCommand({ json: flags.json === true }, (signal) => run({ result, repository }, flags, signal)),
    );
}

async function run(
  named: Pick<PushOptionsInput, "result" | "repository">,
  flags: Flags,
  signal: AbortSignal,
): Promise<number> {
  const json = flags.json === true;
  const view = progressView(process.stderr, { signal });
  const lines: string[] = [];
  try {
    for await (const event of pushResult({ ...givenFlags(flags), ...named, signal })) {
      if (json) printLine(event);
      if (event.event === "push-plan") lines.push(...(flags["dryRun"] === true ? planLines(event) : []));
      else if (event.event === "pushed") lines.push(...pushedLines(event));
      else view.show(event);
    }
  } finally {
    view.close();
    if (signal.aborted) process.stderr.write("run the same command again: what arrived is not sent again\n");
  }
  if (!json) for (const line of lines) process.stdout.write(`${printable(line)}\n`);
  return 0;
}

function planLines({ repository, branch, files, bytes, leftOut }: PushPlanEvent): string[] {
  const width = Math.max(...files.map(({ path }) => path.length));
  return [
    ...files.map(({ path, bytes: size }) => `${path.padEnd(width)}  ${formatBytes(size)}`),
    `${formatCount(files.length)} files, ${formatBytes(bytes)}, to ${repository}, branch ${branch}`,
    ...(leftOut.length === 0 ? [] : [`not of the result, left out: ${leftOut.join(", ")}`]),
  ];
}

function pushedLines({ repository, url, commit, uploaded, bytes, skipped }: PushedEvent): string[] {
  const there = skipped === 0 ? "" : `; ${formatCount(skipped)} were there already`;
  const done =
    commit === null ? "everything is there already" : `${formatCount(uploaded)} files, ${formatBytes(bytes)}${there}`;
  return [`${url}: ${done}`, `next: crossblock inspect ${repository}`];
}
