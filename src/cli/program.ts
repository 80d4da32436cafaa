import { Command, CommanderError } from "commander";
import { packageVersion } from "../package-version.js";
import { reportError } from "./exit.js";

// In the order of the help. A command loads what it needs and no other command's modules, of which there are hundreds.
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  quantize: async () => (await import("./commands/quantize.js")).quantizeCommand(),
  export: async () => (await import("./commands/export.js")).exportCommand(),
  verify: async () => (await import("./commands/verify.js")).verifyCommand(),
  eval: async () => (await import("./commands/eval.js")).evalCommand(),
  generate: async () => (await import("./commands/generate.js")).generateCommand(),
  push: async () => (await import("./commands/push.js")).pushCommand(),
  chat: async () => (await import("./commands/chat/chat.js")).chatCommand(),
  inspect: async () => (await import("./commands/inspect.js")).inspectCommand(),
  doctor: async () => (await import("./commands/doctor.js")).doctorCommand(),
};

/** Runs `crossblock` with the arguments that follow its name, and sets the exit code of the process. */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = new Command("crossblock")
    .description("Quantize language models: CBQ, EfficientQAT, Norm Tweaking, GPTQ and round-to-nearest on libtorch")
    .version(packageVersion());
  const named = Object.entries(commands).find(([name]) => name === args[0])?.[1];
  const wanted = named === undefined ? Object.values(commands) : [named];
  for (const command of await Promise.all(wanted.map((load) => load()))) program.addCommand(command);
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showSuggestionAfterError()
      .configureHelp({ helpWidth: Math.min(120, process.stdout.columns ?? 120) })
      .showHelpAfterError(`next: see \`crossblock ${command === program ? "" : `${command.name()} `}--help\``);
  }
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed it; its codes for help and version are 0, for bad usage 1.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else {
      process.exitCode = reportError(error, { json: args.includes("--json") });
    }
  }
}
