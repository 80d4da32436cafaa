import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { CrossblockError } from "../../errors.js";
import { bytesHash, type WeightHash, weightHash } from "../../format/bits/weight-hash.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import type { TensorCheck } from "../../format/contract/tensor-check.js";
import type { Fingerprints } from "../result/result-record.js";

/**
 * Compares a result on disk with what was recorded of it before it was written, and its untouched tensors byte for byte
 * with the source model's where that can be reached.
 *
 * @param fingerprints null in results of early versions: then codes are only decoded
 */
export async function* checkResult(
  result: ExportSource,
  fingerprints: Fingerprints | null,
  sourceModel: TensorReader | null,
): AsyncGenerator<TensorCheck, void, undefined> {
  const changed = new Set(fingerprints?.changed ?? []);
  const linears = new Set([...Object.keys(fingerprints?.linears ?? {}), ...result.linears.keys()]);
  for (const name of linears) {
    yield await judged(name, () => checkLinear(result, name, fingerprints?.linears[name], fingerprints !== null));
  }
  const plain = new Set([...Object.keys(fingerprints?.plain ?? {}), ...result.plain.keys()]);
  for (const name of plain) {
    // Folded tensors differ from the source model's on purpose; only their hash can judge them.
    const original = changed.has(name) ? null : sourceModel;
    yield await judged(name, () =>
      checkPlain(result, name, fingerprints?.plain[name], fingerprints !== null, original),
    );
  }
}

type Verdict = Pick<TensorCheck, "status" | "detail" | "hash">;

/** A tensor that can't be read is a verdict on it. */
async function judged(name: string, check: () => Promise<Verdict>): Promise<TensorCheck> {
  try {
    return { name, source: name, ...(await check()) };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    return { name, source: name, status: "different", detail: error.what };
  }
}

async function checkLinear(
  result: ExportSource,
  name: string,
  recorded: WeightHash | undefined,
  hasRecord: boolean,
): Promise<Verdict> {
  if (!result.linears.has(name)) return { status: "missing" };
  if (hasRecord && recorded === undefined) return { status: "unexpected" };
  const hash = weightHash(await result.readQuantized(name));
  const wrong = (["codes", "scales"] as const).filter(
    (part) => recorded !== undefined && recorded[part] !== hash[part],
  );
  if (wrong.length === 0) return { status: "same", hash };
  return { status: "different", detail: `its ${wrong.join(" and ")} are not those that were recorded`, hash };
}

async function checkPlain(
  result: ExportSource,
  name: string,
  recorded: string | undefined,
  hasRecord: boolean,
  original: TensorReader | null,
): Promise<Verdict> {
  if (!result.plain.has(name)) return { status: "missing" };
  if (hasRecord && recorded === undefined) return { status: "unexpected" };
  const bytes = await result.readPlain(name);
  if (recorded !== undefined && bytesHash(bytes) !== recorded) {
    return { status: "different", detail: "its bytes are not those that were recorded" };
  }
  if (original?.tensors.has(name) === true && Buffer.compare(bytes, await original.read(name)) !== 0) {
    return { status: "different", detail: "its bytes are not those of the source model" };
  }
  return { status: "same" };
}
