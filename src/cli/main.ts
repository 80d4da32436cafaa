#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { doctorCommand } from "./commands/doctor.js";
import { evalCommand } from "./commands/eval.js";
import { exportCommand } from "./commands/export.js";
import { generateCommand } from "./commands/generate.js";
import { inspectCommand } from "./commands/inspect.js";
import { quantizeCommand } from "./commands/quantize.js";
import { verifyCommand } from "./commands/verify.js";
import { reportError } from "./exit.js";

// A reader that went away, as in `crossblock ... | head`, is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("crossblock")
  .description("Quantize language models: CBQ, GPTQ and round-to-nearest on libtorch")
  .version(version);
for (const command of [
  quantizeCommand(),
  exportCommand(),
  verifyCommand(),
  evalCommand(),
  generateCommand(),
  inspectCommand(),
  doctorCommand(),
]) {
  program.addCommand(command);
}
for (const command of [program, ...program.commands]) {
  command
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: Math.min(120, process.stdout.columns ?? 120) })
    .showHelpAfterError(`next: see \`crossblock ${command === program ? "" : `${command.name()} `}--help\``);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed it; its codes for help and version are 0, for bad usage 1.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = reportError(error, { json: process.argv.includes("--json") });
  }
}
