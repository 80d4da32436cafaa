import type { ExportSource } from "../format/export-source.js";
import { bytesHash, type WeightHash, weightHash } from "../format/weight-hash.js";
import type { Fingerprints } from "./result-file.js";

/**
 * Hashes a result, one tensor at a time.
 *
 * @param changed names of the unquantized tensors that differ from the source model's
 * @param poll called before every tensor; throws to stop
 */
export async function fingerprintsOf(
  source: ExportSource,
  changed: readonly string[],
  poll: () => void,
): Promise<Fingerprints> {
  const linears: Record<string, WeightHash> = {};
  for (const name of source.linears.keys()) {
    poll();
    linears[name] = weightHash(await source.readQuantized(name));
  }
  const plain: Record<string, string> = {};
  for (const name of source.plain.keys()) {
    poll();
    plain[name] = bytesHash(await source.readPlain(name));
  }
  return { linears, plain, changed: [...changed] };
}
