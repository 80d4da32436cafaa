import { z } from "zod";
import type { SafetensorsDType } from "../checkpoint/dtype.js";
import { CheckpointError } from "../errors.js";
import type { QuantizedLayout } from "../format/export-source.js";
import type { QuantizedWeight } from "../quant/quantized-weight.js";
import type { StateTensor } from "../recipe/saved-state.js";
import type { DType } from "../tensor/index.js";
import { Artefact, type ArtefactTensor } from "./artefact.js";
import type { WarningEvent, WindowDoneEvent } from "./events.js";

/** What a recipe hands over for one window. */
export interface WindowContent {
  readonly linears: Map<string, QuantizedWeight>;
  /** Tensors that folding changed, by full name. */
  readonly plain: Map<string, Uint8Array>;
  /** Other scales under the codes of Linears that an earlier window handed over. */
  readonly rescaled: Map<string, Float32Array>;
  /** Clip factors or steps by module name. */
  readonly activations: Map<string, number>;
  readonly warnings: WarningEvent[];
}

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
    layers: z.array(z.strictObject({ name: z.string(), relativeError: measured })),
    seconds: z.number(),
  }),
  linears: z.record(
    z.string(),
    z.strictObject({
      bits: z.int().min(2).max(8),
      groupSize: z.int().min(1),
      perChannel: z.boolean(),
      symmetric: z.boolean(),
      rows: size,
      columns: size,
    }),
  ),
  plain: z.array(z.string()),
  rescaled: z.array(z.string()),
  activations: z.record(z.string(), z.number()),
  warnings: z.array(
    z.strictObject({ event: z.literal("warning"), message: z.string(), where: z.string(), next: z.string() }),
  ),
});

/** The tensors and the record of a window's artefact. */
export function windowArtefact(
  done: WindowDoneEvent,
  { linears, plain, rescaled, activations, warnings }: WindowContent,
): { readonly tensors: ArtefactTensor[]; readonly record: object } {
  const tensors: ArtefactTensor[] = [];
  const layouts: Record<string, QuantizedLayout> = {};
  for (const [name, weight] of linears) {
    const { codes, scales, zeroPoints, ...layout } = weight;
    const shape = [layout.rows, scales.length / Math.max(1, layout.rows)];
    layouts[name] = layout;
    tensors.push(
      tensorOf(codesOf(name), "U8", [layout.rows, layout.columns], codes),
      tensorOf(scalesOf(name), "F32", shape, scales),
      tensorOf(zeroPointsOf(name), "U8", shape, zeroPoints),
    );
  }
  for (const [name, bytes] of plain) tensors.push(tensorOf(plainOf(name), "U8", [bytes.byteLength], bytes));
  for (const [name, scales] of rescaled) tensors.push(tensorOf(rescaledOf(name), "F32", [scales.length], scales));
  return {
    tensors,
    record: {
      done,
      linears: layouts,
      plain: [...plain.keys()],
      rescaled: [...rescaled.keys()],
      activations: Object.fromEntries(activations),
      warnings,
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
  readonly done: WindowDoneEvent;
  readonly warnings: readonly WarningEvent[];
  readonly linears: ReadonlyMap<string, QuantizedLayout>;
  readonly plain: ReadonlySet<string>;
  readonly rescaled: ReadonlySet<string>;
  readonly activations: ReadonlyMap<string, number>;

  private constructor(path: string, content: z.output<typeof record>) {
    this.#path = path;
    this.done = content.done;
    this.warnings = content.warnings;
    this.linears = new Map(Object.entries(content.linears));
    this.plain = new Set(content.plain);
    this.rescaled = new Set(content.rescaled);
    this.activations = new Map(Object.entries(content.activations));
  }

  /** @throws CheckpointError when the file is damaged or not what crossblock writes */
  static open(path: string): SavedWindow {
    using artefact = Artefact.open(path);
    const parsed = record.safeParse(artefact.record);
    if (parsed.success) return new SavedWindow(path, parsed.data);
    const issue = parsed.error.issues[0];
    throw new CheckpointError({
      where: path,
      what: "is no saved window",
      why: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`,
      next: "run the same command with --fresh",
    });
  }

  readLinear(name: string): QuantizedWeight {
    const layout = this.linears.get(name);
    if (layout === undefined) throw new TypeError(`${name} is not in this window`);
    using artefact = Artefact.open(this.#path);
    return {
      ...layout,
      codes: artefact.read(codesOf(name)),
      scales: new Float32Array(artefact.read(scalesOf(name)).buffer),
      zeroPoints: artefact.read(zeroPointsOf(name)),
    };
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
