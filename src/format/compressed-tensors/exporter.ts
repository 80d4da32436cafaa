import { folderExporter } from "../folder-exporter.js";
import { isCompressedTensors, openCompressedTensors } from "./read.js";
import { simulationNote } from "./what-loads.js";
import { compressedTensors, writeCompressedTensors } from "./write.js";

/** A folder for vLLM and transformers. */
export const compressedTensorsExporter = folderExporter({
  folder: "compressed-tensors",
  recognises: isCompressedTensors,
  tensors: compressedTensors,
  notes({ linears, activations }) {
    const note = simulationNote(linears.values(), activations);
    const own = [...linears.values()].some(({ groupBits }) => groupBits !== undefined);
    return [
      ...(note === null ? [] : [`Simulated activations: ${note}.`]),
      ...(own ? ["Bits differ by group of columns: crossblock reads this folder, other programs do not."] : []),
    ];
  },
  write: writeCompressedTensors,
  open: openCompressedTensors,
});
