import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import type { OutputTensor } from "../../checkpoint/safetensors/write-safetensors.js";
import { FormatError } from "../../errors.js";
import { hasNormMatrices, tiesEmbeddings } from "../../network/index.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { PackedWeight } from "../bits/packed-rows.js";
import { assertSound } from "./assert-sound.js";
import type { ExportSource, QuantizedLayout } from "./export-source.js";
import { assertLanguageModel } from "./graph-source.js";

/** One tensor that a format stores for a quantized Linear. */
export interface StoredPart<P extends string = string> {
  /** Name after the module's: `weight_packed`. */
  readonly part: P;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** @param width bytes of a number */
export function storedPart<P extends string>(
  part: P,
  dtype: SafetensorsDType,
  shape: readonly number[],
  width: number,
): StoredPart<P> {
  return { part, dtype, shape, byteLength: shape.reduce((product, size) => product * size, width) };
}

/** The same, made from what is read of the Linear. */
export interface EncodedPart<W = QuantizedWeight> extends StoredPart {
  readonly encode: (weight: W) => Uint8Array;
}

/** What a format can hold that most can't. */
export interface FormatReach {
  /** Matrices behind norms. */
  readonly normMatrices?: boolean;
}

/**
 * All tensors of an export in the order of their names (`layers.2` before `layers.10`): the parts of each quantized
 * Linear (`linearTensors`) and the source's other tensors, byte for byte. Nothing is read before its turn.
 *
 * @throws FormatError when the source contradicts itself
 */
export function outputTensors(
  source: ExportSource,
  tensorsOf: (name: string, layout: QuantizedLayout) => readonly OutputTensor[],
  reach: FormatReach = {},
): OutputTensor[] {
  checkSource(source, reach);
  const modules = new Map<string, () => readonly OutputTensor[]>();
  for (const [name, { dtype, shape, byteLength }] of source.plain) {
    modules.set(name, () => [{ name, dtype, shape, byteLength, bytes: () => source.readPlain(name) }]);
  }
  for (const [name, layout] of source.linears) {
    modules.set(`${name}.weight`, () => tensorsOf(name, layout));
  }
  const names = [...modules.keys()].sort(compareTensorNames);
  return names.flatMap((name) => modules.get(name)?.() ?? []);
}

/** The order of tensors in an export: `layers.2` before `layers.10`. */
export const compareTensorNames: (a: string, b: string) => number = new Intl.Collator("en", { numeric: true }).compare;

/** The tensors of one quantized Linear; what `read` gives is kept from the first part to the last. */
export function linearTensors<W>(
  name: string,
  parts: readonly EncodedPart<W>[],
  read: () => Promise<W>,
): OutputTensor[] {
  let weight: W | null = null;
  return parts.map(({ part, dtype, shape, byteLength, encode }, i) => ({
    name: `${name}.${part}`,
    dtype,
    shape,
    byteLength,
    async bytes() {
      const current = weight ?? (await read());
      weight = i === parts.length - 1 ? null : current;
      return encode(current);
    },
  }));
}

/** A quantized weight as planned and sound, or a FormatError that names the layer. */
export async function readSound(source: ExportSource, name: string, layout: QuantizedLayout): Promise<QuantizedWeight> {
  const weight = asPlanned(await source.readQuantized(name), name, layout);
  assertSound(weight, name);
  return weight;
}

/** As `readSound` with packed rows; null where the source keeps none. */
export async function readPacked(
  source: ExportSource,
  name: string,
  layout: QuantizedLayout,
): Promise<PackedWeight | null> {
  return source.readPacked === undefined ? null : asPlanned(await source.readPacked(name), name, layout);
}

function asPlanned<W extends QuantizedLayout>(weight: W, name: string, layout: QuantizedLayout): W {
  const keys = ["bits", "groupSize", "perChannel", "symmetric", "rows", "columns"] as const;
  const differs = keys.find((key) => weight[key] !== layout[key]);
  const [ours, planned] = [weight.groupBits?.join(" "), layout.groupBits?.join(" ")];
  if (differs === undefined && ours !== planned) {
    throw new FormatError({
      what: `its groups have the bits ${ours ?? "of the Linear"}, the plan says ${planned ?? "those of the Linear"}`,
      where: name,
      next: "quantize again into an empty folder: codes of two runs were mixed",
    });
  }
  if (differs !== undefined) {
    throw new FormatError({
      what: `its codes have ${differs} ${weight[differs]}, the plan says ${layout[differs]}`,
      where: name,
      next: "quantize again into an empty folder: codes of two runs were mixed",
    });
  }
  return weight;
}

/**
 * What all formats of language models check first.
 *
 * @throws FormatError for the result of an ONNX graph, for matrices that the format has no place for, and when the source contradicts
 * itself: impossible groups, a weight twice, a tied lm_head quantized
 */
export function checkSource(source: ExportSource, { normMatrices = false }: FormatReach = {}): void {
  assertLanguageModel(source);
  if (!normMatrices && hasNormMatrices(source.config)) {
    throw new FormatError({
      where: "norms",
      what: "matrices stand behind them, and the format has no place for these: only crossblock computes them",
      next: "use --set affine.norms=diagonal, which folds into the norms, or --format compressed-tensors, which keeps this result",
    });
  }
  const { linears, plain, config } = source;
  for (const [name, { bits, groupSize, rows, columns }] of linears) {
    const fail = (what: string, next: string): never => {
      throw new FormatError({ what, where: name, next });
    };
    if (!Number.isInteger(bits) || bits < 2 || bits > 8) fail(`${bits}-bit codes`, "quantize with 2 to 8 bits");
    if (rows < 1 || columns < 1 || groupSize < 1 || columns % groupSize !== 0) {
      fail(`groups of ${groupSize} columns in ${rows} x ${columns}`, "quantize with groups that divide the width");
    }
    if (plain.has(`${name}.weight`)) fail("it is quantized and also in floating point", "quantize again");
  }
  if (linears.has("lm_head") && tiesEmbeddings(config)) {
    throw new FormatError({
      what: "lm_head is quantized though it shares its weight with the embedding",
      where: "lm_head",
      why: "a reader would tie them again and drop the codes",
      next: "leave lm_head unquantized (its default), or untie it in config.json",
    });
  }
}
