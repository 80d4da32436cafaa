import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../../errors.js";
import { type CopiedFiles, recordFile } from "../../format/written-files.js";
import type { DecoderSpec } from "../../network/index.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import type { CensusRecord } from "../events/census-record.js";
import type { AllocationEvent, LayerError, WindowDoneEvent } from "../events/events.js";
import type { GivenOptions } from "../options/options.js";

const activations = z.object({
  bits: z.union([z.literal(4), z.literal(8)]),
  granularity: z.enum(["token", "tensor"]),
  /** Why no runtime executes it (`crossblock eval` does); null when some do. */
  simulated: z.string().nullable(),
  /** Clip factor (per token) or step (per tensor) of each Linear's input, by module name. */
  values: z.record(z.string(), z.number().positive()),
});

const fingerprints = z.object({
  /** Hashes of the codes and scales of each quantized Linear, by module name. */
  linears: z.record(z.string(), z.object({ codes: z.string(), scales: z.string() })),
  /** SHA-256 of the bytes of every other tensor, by name. */
  plain: z.record(z.string(), z.string()),
  /** Those of them that are not the source model's: their values were folded. */
  changed: z.array(z.string()),
});

/** What a result is made of, hashed before it was written: `verify` measures all files by it. */
export type Fingerprints = z.output<typeof fingerprints>;

/** How a result quantizes the inputs of its Linears. */
export type ResultActivations = z.output<typeof activations>;

/** What a result was computed with, as it was chosen where the options leave it open. */
export interface EngineRecord {
  readonly torch: string;
  readonly device: string;
  /** Of the matrix products. */
  readonly dtype: string;
  /** Of the backward products in training. */
  readonly gradients: GradientPrecision;
  readonly node: string;
}

/** A budget of mean bits of a code, and what each Linear got of it. */
export type AllocationRecord = Omit<AllocationEvent, "event">;

/** What `crossblock.json` tells about a result: enough to judge it and to make it again. */
export interface ResultRecord {
  /** Name of the model: its folder's, or that on the hub without the owner. */
  readonly name: string;
  /** Version of crossblock. */
  readonly version: string;
  readonly created: string;
  readonly scheme: string;
  readonly symmetric: boolean;
  readonly bitsPerWeight: number;
  /** How a budget of bits was shared out; null where every Linear has the scheme's. */
  readonly allocation: AllocationRecord | null;
  readonly recipe: string;
  readonly preset: string;
  readonly seed: number;
  /** As they were given; what "auto" and null came to stands in `engine` and `calibration`. */
  readonly options: GivenOptions;
  readonly engine: EngineRecord;
  readonly calibration: {
    readonly source: "files" | "self-generated";
    readonly documents: number;
    readonly tokens: number;
    readonly windows: number;
    readonly context: number;
    readonly hash: string;
  } | null;
  /** Null for A16. */
  readonly activations: ResultActivations | null;
  readonly windows: readonly Omit<WindowDoneEvent, "event">[];
  readonly worstLayer: LayerError | null;
  /** What became of the tensors of the source model. */
  readonly census: CensusRecord;
  readonly warnings: readonly { readonly message: string; readonly where: string; readonly next: string }[];
  /** Files of the source model's folder that were copied, by name, with their sizes in bytes. */
  readonly copied: Readonly<Record<string, number>>;
  /** The network that was quantized, as plain data. */
  readonly network: DecoderSpec;
  readonly fingerprints: Fingerprints;
}

/** The files that a result took over from its source model. Empty where the record, or an early one, names none. */
export function copiedFilesOf(value: unknown): CopiedFiles {
  const record = z.object({ copied: z.record(z.string(), z.number()).default({}) }).parse(value);
  return new Map(Object.entries(record.copied));
}

/** Writes `crossblock.json` into a folder. */
export async function writeResultRecord(folder: string, record: ResultRecord): Promise<void> {
  await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`);
}

const readable = z.object({
  scheme: z.string(),
  activations: activations.nullable(),
  /** Absent in results of early versions, as are the fingerprints. */
  name: z.string().optional(),
  options: z.object({ model: z.string() }).optional(),
  network: z.record(z.string(), z.unknown()).optional(),
  fingerprints: fingerprints.optional(),
});

const made = z.object({ scheme: z.string(), created: z.string(), options: z.record(z.string(), z.unknown()) });

/** What tells whether a command would make this result again. */
export type MadeRecord = z.output<typeof made>;

/** @throws CheckpointError when it is not what crossblock writes */
export function parseMadeRecord(value: unknown, folder: string): MadeRecord {
  return parsedAs(made, value, folder);
}

/** What another command needs of `crossblock.json`. */
export type ReadRecord = z.output<typeof readable>;

/**
 * Checks what `crossblock.json` of a result holds.
 *
 * @throws CheckpointError when it is not what crossblock writes.
 */
export function parseResultRecord(value: unknown, folder: string): ReadRecord {
  return parsedAs(readable, value, folder);
}

function parsedAs<T extends z.ZodType>(schema: T, value: unknown, folder: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CheckpointError({
    where: join(folder, recordFile),
    what: "is not what crossblock wrote",
    why: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`,
    next: "restore it, or quantize the model again",
  });
}
