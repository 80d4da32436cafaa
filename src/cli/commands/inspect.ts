import { Command } from "commander";
import { inspect } from "../../api/inspect.js";
import type { Inspection } from "../../run/events/inspection.js";
import { printLine, runCommand } from "../exit.js";
import { formatInspection } from "../inspection-text.js";

interface Flags {
  readonly tensors?: boolean;
  readonly json?: boolean;
  readonly revision?: string;
}

/** `crossblock inspect MODEL_OR_RESULT_OR_EXPORT` */
export function inspectCommand(): Command {
  return new Command("inspect")
    .argument(
      "<path>",
      "model folder, result, or an export of it (GPTQ folder, .gguf file); any .onnx file; owner/name on the Hugging Face Hub",
    )
    .option("--revision <name>", "branch, tag or commit of a model of the hub (default: main)")
    .option("--tensors", "a line for every tensor, and not only for every type")
    .option("--json", "one JSON object a line on standard output, every tensor among them")
    .action((path: string, { tensors, json, revision }: Flags) =>
      runCommand({ json: json === true }, async (signal) => {
        const inspection = await inspect(path, { signal, ...(revision !== undefined && { revision }) });
        if (json === true) printJson(inspection);
        else process.stdout.write(formatInspection(inspection, { tensors: tensors === true }));
        return 0;
      }),
    );
}

function printJson({ tensors, ...summary }: Inspection): void {
  for (const tensor of tensors) printLine({ event: "tensor", ...tensor });
  printLine({ event: "inspection", ...summary });
}
