import { bytesHash, type WeightHash } from "../../format/bits/weight-hash.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import type { Fingerprints } from "../result/result-record.js";

/**
 * The fingerprints of a result. Those of quantized Linears were made when their codes were handed over, so that they tell
 * what was optimised, whatever was read back since; all other tensors are hashed here, one at a time.
 *
 * @param hashOf of a Linear
 * @param changed names of the unquantized tensors that differ from the source model's
 * @param poll called before every tensor; throws to stop
 */
export async function fingerprintsOf(
  source: ExportSource,
  hashOf: (name: string) => WeightHash,
  changed: readonly string[],
  poll: () => void,
): Promise<Fingerprints> {
  const linears: Record<string, WeightHash> = {};
  for (const name of source.linears.keys()) linears[name] = hashOf(name);
  const plain: Record<string, string> = {};
  for (const name of source.plain.keys()) {
    poll();
    plain[name] = bytesHash(await source.readPlain(name));
  }
  return { linears, plain, changed: [...changed] };
}
