#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { reportError } from "./exit.js";

// A reader that went away, as in `crossblock ... | head`, is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// In the order of the help. A command loads what it needs and no other command's modules, of which there are hundreds.
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  quantize: async () => (await import("./commands/quantize.js")).quantizeCommand(),
  export: async () => (await import("./commands/export.js")).exportCommand(),
  verify: async () => (await import("./commands/verify.js")).verifyCommand(),
  eval: async () => (await import("./commands/eval.js")).evalCommand(),
  generate: async () => (await import("./commands/generate.js")).generateCommand(),
  inspect: async () => (await import("./commands/inspect.js")).inspectCommand(),
  doctor: async () => (await import("./commands/doctor.js")).doctorCommand(),
};
const named = Object.entries(commands).find(([name]) => name === process.argv[2])?.[1];
const wanted = named === undefined ? Object.values(commands) : [named];

const program = new Command("crossblock")
  .description("Quantize language models: CBQ, GPTQ and round-to-nearest on libtorch")
  .version(version);
for (const command of await Promise.all(wanted.map((load) => load()))) program.addCommand(command);
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
