import { Command, CommanderError } from "commander";
import { packageVersion } from "../package-version.js";
import { reportError } from "./exit.js";
import { exampleText } from "./help/examples.js";

interface CommandEntry {
  readonly description: string;
  load(): Promise<Command>;
}

// In the order of the help. The list is made from what stands here: hundreds of modules are loaded only for the command that runs.
const commands: Readonly<Record<string, CommandEntry>> = {
  quantize: {
    description: "quantize a model and write the result to a folder",
    load: async () => (await import("./commands/quantize.js")).quantizeCommand(),
  },
  export: {
    description: "write a finished result in other formats, from the same codes",
    load: async () => (await import("./commands/export.js")).exportCommand(),
  },
  verify: {
    description: "prove that a result and its exports hold the codes that were optimised, and write a certificate",
    load: async () => (await import("./commands/verify.js")).verifyCommand(),
  },
  eval: {
    description: "perplexity, distance from another model, or accuracy on questions, of a model or a result",
    load: async () => (await import("./commands/eval.js")).evalCommand(),
  },
  generate: {
    description: "answer a prompt, or continue it where the model has no chat template",
    load: async () => (await import("./commands/generate.js")).generateCommand(),
  },
  chat: {
    description: "talk with a model or a result that has a chat template",
    load: async () => (await import("./commands/chat/chat.js")).chatCommand(),
  },
  push: {
    description: "upload a result to the Hugging Face Hub",
    load: async () => (await import("./commands/push.js")).pushCommand(),
  },
  inspect: {
    description: "what a model, a result or an export holds: types, sizes, scales, histograms of codes",
    load: async () => (await import("./commands/inspect.js")).inspectCommand(),
  },
  recipes: {
    description: "the methods for --recipe: what each trains, what it is for, what it takes",
    load: async () => (await import("./commands/recipes.js")).recipesCommand(),
  },
  schema: {
    description: "print the JSON schema of the file after --config",
    load: async () => (await import("./commands/schema.js")).schemaCommand(),
  },
  doctor: {
    description: "what this machine has, what is wrong with it, and how to mend it",
    load: async () => (await import("./commands/doctor.js")).doctorCommand(),
  },
};

/** The names of all commands. */
export const commandNames: readonly string[] = Object.keys(commands);

/** Wide enough to read, and never wider than most terminals. */
const HELP_WIDTH = 80;

/** A command as the program has it. */
export async function loadCommand(name: string): Promise<Command> {
  const entry = commands[name];
  if (entry === undefined) throw new RangeError(`there is no command "${name}"`);
  return helpful((await entry.load()).description(entry.description)).addHelpText("after", exampleText(name));
}

/** Runs `crossblock` with the arguments that follow its name, and sets the exit code of the process. */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = helpful(new Command("crossblock"))
    .description(
      "Quantize language models and ONNX networks, on a CPU or a GPU, for vLLM, transformers, llama.cpp, MLX and onnxruntime",
    )
    .version(packageVersion())
    .addHelpText("after", "\nOptions of a command: crossblock quantize --help");
  const wanted = args[0] === "help" ? args[1] : args[0];
  for (const [name, { description }] of Object.entries(commands)) {
    program.addCommand(name === wanted ? await loadCommand(name) : new Command(name).description(description));
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

function helpful(command: Command): Command {
  const name = command.name() === "crossblock" ? "" : `${command.name()} `;
  return command
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: Math.min(HELP_WIDTH, process.stdout.columns ?? HELP_WIDTH) })
    .showHelpAfterError(`next: see \`crossblock ${name}--help\``);
}
