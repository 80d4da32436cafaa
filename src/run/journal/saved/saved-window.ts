import { z } from "zod";
import type { SafetensorsDType } from "../../../checkpoint/dtype.js";
import { CheckpointError } from "../../../errors.js";
import { wordsFor } from "../../../format/bits/pack-bits.js";
import type { PackedWeight } from "../../../format/bits/packed-rows.js";
import type { WeightHash } from "../../../format/bits/weight-hash.js";
import type { QuantizedLayout } from "../../../format/contract/export-source.js";
import type { KeyedGrid } from "../../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import type { StateTensor } from "../../../recipe/state/saved-state.js";
import type { DType } from "../../../tensor/index.js";
import type { WarningEvent, WindowDoneEvent } from "../../events/events.js";
import { Artefact, type ArtefactTensor } from "./artefact.js";
import type { LossCurve, LossPoints } from "./loss-curve.js";

/** What a recipe hands over for one window. */
export interface WindowContent {
  readonly linears: Map<string, QuantizedWeight>;
  /** Tensors that folding changed, by full name. */
  readonly plain: Map<string, Uint8Array>;
  /** Other scales under the codes of Linears that an earlier window handed over. */
  readonly rescaled: Map<string, { readonly scales: Float32Array; readonly hash: string }>;
  /** Clip factors or steps by module name. */
  readonly activations: Map<string, number>;
  /** Codes that stand for zero, of inputs whose ranges do not lie evenly around it, by module name. */
  readonly zeroPoints: Map<string, number>;
  /** Grids of inputs by time step, by module name. */
  readonly inputGrids: Map<string, KeyedGrid>;
  readonly warnings: WarningEvent[];
  /** When it began, ISO 8601; null where that is not known. */
  start: string | null;
  /** Of its steps. */
  losses: LossCurve;
}

/** A Linear as it is saved. */
export interface PackedLinear {
  readonly weight: PackedWeight;
  /** Of the weight as it was handed over. */
  readonly hash: WeightHash;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().min(0);
// JSON has no NaN: a loss that was none comes back as null.
const measured = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);
const loss = z
  .strictObject({ total: measured, fullPrecision: z.number().nullable(), quantized: z.number().nullable() })
  .nullable();

const record = z.strictObject({
  done: z.strictObject({
    event: z.literal("window-done"),
    window: size,
    windows: size,
    blocks: z.tuple([size, size]),
    lossBefore: loss,
    lossAfter: loss,
    layers: z.array(
      z.strictObject({ name: z.string(), relativeError: measured, tokens: z.array(z.number()).optional() }),
    ),
    seconds: z.number(),
  }),
  linears: z.record(
    z.string(),
    z.strictObject({
      bits: z.int().min(2).max(8),
      groupBits: z.array(z.int().min(1).max(8)).optional(),
      groupSize: z.int().min(1),
      perChannel: z.boolean(),
      symmetric: z.boolean(),
      rows: z.int().min(1),
      columns: z.int().min(1),
    }),
  ),
  /** Of every Linear. */
  hashes: z.record(z.string(), z.strictObject({ codes: sha256, scales: sha256 })),
  plain: z.array(z.string()),
  /** With the hashes of the scales. */
  rescaled: z.record(z.string(), sha256),
  activations: z.record(z.string(), z.number()),
  /** Absent in windows of early versions. */
  zeroPoints: z.record(z.string(), z.number()).default({}),
  inputGrids: z
    .record(
      z.string(),
      z.strictObject({
        bits: z.int().min(2).max(8),
        input: z.string(),
        keys: z.array(z.number()),
        scales: z.array(z.number()),
        zeroPoints: z.array(size),
        unknown: z.enum(["error", "nearest"]),
      }),
    )
    .default({}),
  warnings: z.array(
    z.strictObject({ event: z.literal("warning"), message: z.string(), where: z.string(), next: z.string() }),
  ),
  /** Windows of early versions have neither. */
  start: z.string().nullable().default(null),
  losses: z
    .strictObject({ steps: size, means: z.array(measured) })
    .nullable()
    .default(null),
});

/** The tensors and the record of a window's artefact. */
export function windowArtefact(
  done: WindowDoneEvent,
  { plain, rescaled, activations, zeroPoints, inputGrids, warnings, start, losses }: WindowContent,
  linears: ReadonlyMap<string, PackedLinear>,
): { readonly tensors: ArtefactTensor[]; readonly record: object } {
  const tensors: ArtefactTensor[] = [];
  const layouts: Record<string, QuantizedLayout> = {};
  const hashes: Record<string, WeightHash> = {};
  for (const [name, { weight, hash }] of linears) {
    const { words, scales, zeroPoints, ...layout } = weight;
    hashes[name] = hash;
    const shape = [layout.rows, scales.length / Math.max(1, layout.rows)];
    layouts[name] = layout;
    tensors.push(
      tensorOf(codesOf(name), "I32", [layout.rows, wordsFor(layout.columns, layout.bits)], words),
      tensorOf(scalesOf(name), "F32", shape, scales),
      tensorOf(zeroPointsOf(name), "U8", shape, zeroPoints),
    );
  }
  for (const [name, bytes] of plain) tensors.push(tensorOf(plainOf(name), "U8", [bytes.byteLength], bytes));
  for (const [name, { scales }] of rescaled) tensors.push(tensorOf(rescaledOf(name), "F32", [scales.length], scales));
  return {
    tensors,
    record: {
      done,
      linears: layouts,
      hashes,
      plain: [...plain.keys()],
      rescaled: Object.fromEntries([...rescaled].map(([name, { hash }]) => [name, hash])),
      activations: Object.fromEntries(activations),
      zeroPoints: Object.fromEntries(zeroPoints),
      inputGrids: Object.fromEntries(inputGrids),
      warnings,
      start,
      losses: losses.points,
    },
  };
}

const stored: Partial<Record<DType, SafetensorsDType>> = { float32: "F32", bfloat16: "BF16", float16: "F16" };

/** A recipe's tensor as an artefact stores it. */
export function stateTensor({ name, dtype, shape, pieces }: StateTensor): ArtefactTensor {
  const type = stored[dtype];
  if (type === undefined) throw new TypeError(`${name} has dtype ${dtype}, which is not saved`);
  return { name, dtype: type, shape, pieces };
}

/**
 * A finished window that lies in the work directory; its codes are read when they are asked for. The file is open
 * meanwhile only: a run may have thousands of windows, and a process few files.
 */
export class SavedWindow {
  readonly #path: string;
  readonly #hashes: ReadonlyMap<string, WeightHash>;
  readonly done: WindowDoneEvent;
  readonly warnings: readonly WarningEvent[];
  readonly linears: ReadonlyMap<string, QuantizedLayout>;
  readonly plain: ReadonlySet<string>;
  /** Hashes of the scales by module name. */
  readonly rescaled: ReadonlyMap<string, string>;
  readonly activations: ReadonlyMap<string, number>;
  /** Codes that stand for zero in inputs, by module name. */
  readonly zeroPoints: ReadonlyMap<string, number>;
  /** Grids of inputs by time step, by module name. */
  readonly inputGrids: ReadonlyMap<string, KeyedGrid>;
  /** When it began, ISO 8601; null where that is not known. */
  readonly start: string | null;
  /** Of its steps; null without any. */
  readonly losses: LossPoints | null;

  private constructor(path: string, content: z.output<typeof record>) {
    this.#path = path;
    this.done = content.done;
    this.warnings = content.warnings;
    this.start = content.start;
    this.losses = content.losses;
    this.linears = new Map(Object.entries(content.linears));
    this.plain = new Set(content.plain);
    this.rescaled = new Map(Object.entries(content.rescaled));
    this.activations = new Map(Object.entries(content.activations));
    this.zeroPoints = new Map(Object.entries(content.zeroPoints));
    this.inputGrids = new Map(Object.entries(content.inputGrids));
    this.#hashes = new Map(Object.entries(content.hashes));
  }

  /** @throws CheckpointError when the file is damaged or not what crossblock writes */
  static open(path: string): SavedWindow {
    using artefact = Artefact.open(path);
    const parsed = record.safeParse(artefact.record);
    if (parsed.success) return new SavedWindow(path, parsed.data);
    const issue = parsed.error.issues[0];
    return refuse(path, `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`);
  }

  /** @throws CheckpointError when its tensors are not those of its layout */
  readLinear(name: string): PackedWeight {
    const layout = this.linears.get(name);
    if (layout === undefined) throw new TypeError(`${name} is not in this window`);
    const { rows, columns, groupSize, bits } = layout;
    using artefact = Artefact.open(this.#path);
    const read = (tensor: string, byteLength: number): Uint8Array => {
      const bytes = artefact.read(tensor);
      if (bytes.byteLength !== byteLength) this.#refuse(`${tensor}: ${bytes.byteLength} bytes, not ${byteLength}`);
      return bytes;
    };
    const groups = rows * (columns / groupSize);
    return {
      ...layout,
      words: read(codesOf(name), rows * wordsFor(columns, bits) * 4),
      scales: new Float32Array(read(scalesOf(name), groups * 4).buffer),
      zeroPoints: read(zeroPointsOf(name), groups),
    };
  }

  /** @throws CheckpointError when the record has none */
  hashOf(name: string): WeightHash {
    return this.#hashes.get(name) ?? this.#refuse(`${name}: its hash is missing`);
  }

  #refuse(why: string): never {
    return refuse(this.#path, why);
  }

  /** Scales `[rows x groups]` in place of those that came with a Linear's codes. */
  readScales(name: string): Float32Array {
    using artefact = Artefact.open(this.#path);
    return new Float32Array(artefact.read(rescaledOf(name)).buffer);
  }

  /** Bytes of a tensor that folding changed, as the model stores it. */
  readPlain(name: string): Uint8Array {
    using artefact = Artefact.open(this.#path);
    return artefact.read(plainOf(name));
  }
}

function refuse(where: string, why: string): never {
  throw new CheckpointError({ where, what: "is no saved window", why, next: "run the same command with --fresh" });
}

function tensorOf(
  name: string,
  dtype: SafetensorsDType,
  shape: readonly number[],
  { buffer, byteOffset, byteLength }: Uint8Array | Float32Array,
): ArtefactTensor {
  return { name, dtype, shape, pieces: () => [new Uint8Array(buffer, byteOffset, byteLength)] };
}

function codesOf(module: string): string {
  return `${module}.codes`;
}

function scalesOf(module: string): string {
  return `${module}.scales`;
}

function zeroPointsOf(module: string): string {
  return `${module}.zeroPoints`;
}

function rescaledOf(module: string): string {
  return `${module}.rescaled`;
}

function plainOf(tensor: string): string {
  return `plain.${tensor}`;
}
