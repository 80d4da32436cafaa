import { Command } from "commander";
import { inspectMachine } from "../../run/machine/doctor.js";
import { printLine, runCommand } from "../exit.js";
import { formatMachine } from "../machine-text.js";

/** `crossblock doctor`: exits with 1 when something keeps crossblock from working. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .option("--json", "one JSON object a line on standard output")
    .action(({ json }: { readonly json?: boolean }) =>
      runCommand({ json: json === true }, async () => {
        const report = await inspectMachine();
        if (json === true) printLine(report);
        else process.stdout.write(formatMachine(report));
        return report.problems.some(({ severity }) => severity === "error") ? 1 : 0;
      }),
    );
}
