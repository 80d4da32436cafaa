import { optionalString } from "../../checkpoint/model-config.js";
import { hasNormMatrices, textConfig } from "../../network/index.js";
import { folderExporter } from "../folder-exporter.js";
import { isCompressedTensors, openCompressedTensors } from "./read.js";
import { simulationNote, transformersNote } from "./what-loads.js";
import { compressedTensors, writeCompressedTensors } from "./write.js";

/** A folder for vLLM and transformers. */
export const compressedTensorsExporter = folderExporter({
  folder: "compressed-tensors",
  recognises: isCompressedTensors,
  tensors: compressedTensors,
  notes({ linears, activations, config }) {
    const note = simulationNote(linears.values(), activations);
    const own = [...linears.values()].some(({ groupBits }) => groupBits !== undefined);
    const unread = transformersNote(optionalString(textConfig(config), "model_type") ?? "", linears.keys());
    return [
      ...(unread === null ? [] : [unread]),
      ...(note === null ? [] : [`Simulated activations: ${note}.`]),
      ...(hasNormMatrices(config)
        ? [
            "Matrices behind norms, a product of hidden size squared for every token: crossblock reads this folder, other programs do not.",
          ]
        : []),
      ...(own ? ["Bits differ by group of columns: crossblock reads this folder, other programs do not."] : []),
    ];
  },
  write: writeCompressedTensors,
  open: openCompressedTensors,
});
