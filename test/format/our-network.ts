import { floatsFromBytes } from "../../src/format/bits/float-bytes.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { sourceSpec } from "../../src/format/source/source-spec.js";
import { Decoder, tokenIds } from "../../src/network/index.js";
import { scope, Tensor } from "../../src/tensor/index.js";
import { dequantized } from "./rtn-source.js";

/** Our own network with the weights of a result, in fp32. */
export async function ourNetwork(source: ExportSource): Promise<Decoder> {
  const values = new Map<string, Float32Array>();
  for (const [name, { dtype }] of source.plain) {
    values.set(name, floatsFromBytes(await source.readPlain(name), dtype, name));
  }
  for (const name of source.linears.keys()) {
    values.set(`${name}.weight`, dequantized(await source.readQuantized(name)));
  }
  return Decoder.load((name, shape) => {
    const found = values.get(name);
    if (found === undefined) throw new Error(`the source has no ${name}`);
    return Tensor.from(found, shape);
  }, sourceSpec(source));
}

/** Logits `[sequences, tokens, vocabulary]` of sequences of one length. */
export function ourLogits(decoder: Decoder, ids: readonly (readonly number[])[]): Float32Array {
  const shape = [ids.length, ids[0]?.length ?? 0] as const;
  return scope(() =>
    decoder.logits(tokenIds(decoder.spec, Int32Array.from(ids.flat()), shape, "cpu")).toFloat32Array(),
  );
}
