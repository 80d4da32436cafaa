import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import { decoderUnits, layerOf } from "../../network/index.js";
import { floatsFromBytes, toHalfBytes } from "../bits/float-bytes.js";
import type { ExportSource } from "../contract/export-source.js";
import { sourceSpec } from "../source/source-spec.js";

/**
 * What AutoAWQ and transformers put between an MLP's activation and its last Linear in some families: a module that divides by
 * `scales`, which AWQ's search may move there. Ours has none, so they are 1; a folder without them is filled with whatever lies in
 * memory. By family, the name of the activation beside the Linears (`AWQ_SCALES_MAPPINGS` of transformers 5).
 */
const ACTIVATIONS: Readonly<Record<string, string>> = { starcoder2: "act", gpt_neox: "act", bloom: "gelu_impl" };

/** Names of these tensors, with their lengths. */
function activationScales(source: Pick<ExportSource, "config" | "plain">): ReadonlyMap<string, number> {
  const name = ACTIVATIONS[String(source.config["model_type"])];
  if (name === undefined) return new Map();
  return new Map(
    decoderUnits(sourceSpec(source)).map((unit) => {
      const { module, rows } = layerOf(unit, "up");
      return [`${module.slice(0, module.lastIndexOf("."))}.${name}.scales`, rows];
    }),
  );
}

/** A result with the divisors that readers ask for. */
export function withActivationScales(source: ExportSource): ExportSource {
  const added = activationScales(source);
  if (added.size === 0) return source;
  const plain = new Map<string, TensorInfo>(source.plain);
  for (const [name, length] of added) {
    plain.set(name, { name, dtype: "F16", shape: [length], file: "", byteLength: 2 * length });
  }
  return {
    ...source,
    plain,
    async readPlain(name) {
      const length = added.get(name);
      return length === undefined ? source.readPlain(name) : toHalfBytes(new Float32Array(length).fill(1));
    },
  };
}

/**
 * The tensors of a folder but for these divisors.
 *
 * @throws FormatError where one is not 1: the network would be another
 */
export async function withoutActivationScales(
  source: ExportSource,
  stored: TensorReader,
): Promise<ExportSource["plain"]> {
  const plain = new Map(source.plain);
  for (const name of activationScales(source).keys()) {
    const info = plain.get(name);
    if (info === undefined) continue;
    if (floatsFromBytes(await stored.read(name), info.dtype, name).some((value) => value !== 1)) {
      throw new FormatError({
        what: "the activation is divided by numbers other than 1",
        where: name,
        why: "AWQ moved scales there, and crossblock's network has no place for them",
        next: "give the model that this was made from",
      });
    }
    plain.delete(name);
  }
  return plain;
}
