import { quote } from "../../checkpoint/json/json.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";

/** What packers of quantized weights put beside or in place of `weight`. */
const packedParts: ReadonlySet<string> = new Set([
  "qweight",
  "qzeros",
  "scales",
  "g_idx",
  "weight_packed",
  "weight_scale",
  "weight_scale_inv",
  "weight_zero_point",
  "weight_shape",
  "weight_g_idx",
  "input_scale",
]);

type Stored = Pick<TensorReader, "folder" | "tensors">;

/** Whether a tensor is a part of a quantized weight of this module: `MODULE.qweight`. */
export function isPackedPart(tensor: string, module: string): boolean {
  return tensor.startsWith(`${module}.`) && packedParts.has(tensor.slice(module.length + 1));
}

/** The error for a tensor that the network needs and the checkpoint lacks; names what is there in its place. */
export function missingTensor({ folder, tensors }: Stored, name: string): CheckpointError {
  const error = (what: string, next: string): CheckpointError =>
    new CheckpointError({ where: `${folder}, tensor "${name}"`, what, next });
  const [, module = "", kind = ""] = /^(.*)\.([^.]+)$/.exec(name) ?? [];
  const names = [...tensors.keys()];
  const packed = kind === "weight" ? names.find((other) => isPackedPart(other, module)) : undefined;
  if (packed !== undefined) {
    return error(
      `is quantized already: the checkpoint has ${quote(packed)}`,
      "give the folder of the unquantized model",
    );
  }
  const wrapped = `${module}.base_layer.${kind}`;
  if (tensors.has(wrapped)) {
    return error(
      `is not in the checkpoint, which has ${quote(wrapped)}: an adapter that is not merged`,
      "merge it first, in Python: merge_and_unload() of peft, then save_pretrained(folder), and give that folder",
    );
  }
  const twin = names.find((other) => other.endsWith(`.${name}`) || name.endsWith(`.${other}`));
  if (twin !== undefined) {
    return error(
      `is not in the checkpoint, which has ${quote(twin)}: the same under another prefix`,
      "save the model again from Python without the wrapper that gave the prefix (save_pretrained of the …ForCausalLM inside)",
    );
  }
  return error("is not in the checkpoint", "download the model again, or check that config.json belongs to it");
}
