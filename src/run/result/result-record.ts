import { z } from "zod";
import type { Preprocessing } from "../../calibration/images/preprocessing.js";
import type { DecoderSpec } from "../../network/index.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import type { CensusRecord } from "../events/census-record.js";
import type { AllocationEvent, CalibrateEvent, LayerError, WindowDoneEvent } from "../events/events.js";
import type { GivenOptions } from "../options/options.js";
import type { LinearRecord, SampleTexts } from "./result-details.js";
import type { Origin } from "./told/told-options.js";

/** How a result quantizes the inputs of its Linears. */
export const activationsShape = z.object({
  bits: z.union([z.literal(4), z.literal(8)]),
  granularity: z.enum(["token", "tensor"]),
  /** Why no runtime executes it (`crossblock eval` does); null when some do. */
  simulated: z.string().nullable(),
  /** Clip factor (per token) or step (per tensor) of each Linear's input, by module name. */
  values: z.record(z.string(), z.number().positive()),
  /** Codes that stand for zero, where ranges do not lie evenly around it. */
  zeroPoints: z.record(z.string(), z.number()).optional(),
});

export const fingerprintsShape = z.object({
  /** Hashes of the codes and scales of each quantized Linear, by module name. */
  linears: z.record(z.string(), z.object({ codes: z.string(), scales: z.string() })),
  /** SHA-256 of the bytes of every other tensor, by name. */
  plain: z.record(z.string(), z.string()),
  /** Those of them that are not the source model's: their values were folded. */
  changed: z.array(z.string()),
});

/** Bytes on disk. */
export const sizesShape = z.object({
  /** The source model's weight files. */
  source: z.number(),
  formats: z.array(
    z.object({
      format: z.string(),
      /** Relative to the result; `.` is the result itself. */
      path: z.string(),
      /** The weights: of a folder its weight files, of a file all of it. */
      bytes: z.number(),
      /** Those of them that hold the embedding, and the head where it is stored by itself. */
      embeddingBytes: z.number(),
    }),
  ),
});

/** What a held-out text says of source and result. */
const textQuality = z.object({
  /** What was scored, in words. */
  text: z.string(),
  /** Tokens that were predicted. */
  tokens: z.number(),
  /** Tokens a sequence. */
  context: z.number(),
  perplexity: z.object({ source: z.number(), result: z.number(), roundToNearest: z.number().nullable() }),
  /** Mean Kullback-Leibler divergence from the source to the result, in nats a token. */
  divergence: z.number(),
  /** The same of round to nearest. */
  roundToNearestDivergence: z.number().nullable().default(null),
  seconds: z.number().nullable().default(null),
});

/** How far outputs are from the source's. */
const outputDistance = z.object({
  /** `|y - y'|^2 / |y|^2` over all examples. */
  relativeError: z.number(),
  /** Share of examples whose largest output is the same one; null where outputs are no classes. */
  agreement: z.number().nullable(),
  /** Mean Kullback-Leibler divergence between the classes' probabilities, in nats an example. */
  divergence: z.number().nullable(),
});

/** What held-out examples say of a graph and its result. */
const outputsQuality = z.object({
  /** What was scored, in words. */
  examples: z.string(),
  count: z.number(),
  result: outputDistance,
  /** Of the same scheme by rounding alone; null where that was not computed. */
  roundToNearest: outputDistance.nullable(),
  seconds: z.number().nullable().default(null),
});

/** What was lost, measured on what nothing was calibrated on. */
export const qualityShape = z.union([textQuality, outputsQuality]).nullable();

export type TextQuality = z.output<typeof textQuality>;
export type OutputsQuality = z.output<typeof outputsQuality>;
export type OutputDistance = z.output<typeof outputDistance>;

/** How much was trained, and who chose that: the user, the device, or the time that was given. */
export const effortShape = z
  .object({ name: z.enum(["quick", "normal", "best"]), chosen: z.enum(["given", "device", "time"]) })
  .nullable();

export const timelineShape = z.array(z.object({ stage: z.string(), start: z.string(), seconds: z.number() }));

/** What was thinned from the losses of a window's steps. */
export const lossesShape = z.object({
  /** Steps in all. */
  steps: z.number(),
  /** Mean loss of each of at most 200 equal spans of steps, the first to the last. */
  means: z.array(z.number().nullable()),
});

/** What a result is made of, hashed before it was written: `verify` measures all files by it. */
export type Fingerprints = z.output<typeof fingerprintsShape>;
export type ResultActivations = z.output<typeof activationsShape>;
export type ResultSizes = z.output<typeof sizesShape>;
export type ResultQuality = z.output<typeof qualityShape>;
export type ResultEffort = z.output<typeof effortShape>;
export type WindowLosses = z.output<typeof lossesShape>;

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

/** A window that is done. */
export interface WindowRecord extends Omit<WindowDoneEvent, "event"> {
  /** When it began, ISO 8601; null where an early version did it. */
  readonly start: string | null;
  /** Null where nothing is trained. */
  readonly losses: WindowLosses | null;
}

/** A graph that was quantized. */
export interface GraphRecord {
  readonly kind: "graph";
  readonly opset: number;
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly output: string;
  readonly units: readonly { readonly kind: string; readonly layers: readonly string[] }[];
  /** Batch norms that their convolutions took over. */
  readonly folded: readonly string[];
  /** What was done to images; null where none were given. */
  readonly images: (Preprocessing & { readonly from: string }) | null;
}

/** A budget of mean bits of a code, and what each Linear got of it. */
export type AllocationRecord = Omit<AllocationEvent, "event">;

/** What `crossblock.json` tells about a result: enough to judge it and to make it again. */
export interface ResultRecord {
  /** See `SCHEMA_VERSION`. */
  readonly schemaVersion: 2;
  /** Of the process that finished it: the `id` of its `run` event. */
  readonly run: string;
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
  /** Null where no text is read. */
  readonly effort: ResultEffort;
  readonly seed: number;
  /** As they were given, paths as `toldOptions` tells them, with the values of the effort; what "auto" and null came to stands in `engine` and `calibration`. */
  readonly options: GivenOptions;
  readonly origin: Origin;
  readonly engine: EngineRecord;
  readonly calibration: Omit<CalibrateEvent, "event"> | null;
  readonly sizes: ResultSizes;
  /** Null where nothing was scored; then `qualityMissing` says why. */
  readonly quality: ResultQuality;
  /** Why there are no scores; null where there are. */
  readonly qualityMissing: string | null;
  /** Null for A16. */
  readonly activations: ResultActivations | null;
  readonly windows: readonly WindowRecord[];
  readonly timeline: z.output<typeof timelineShape>;
  /** The quantized Linears in the order of the network. */
  readonly linears: readonly LinearRecord[];
  /** Null where none were written; then `samplesMissing` says why. */
  readonly samples: SampleTexts;
  readonly samplesMissing: string | null;
  /** Most memory that the process held up to here. */
  readonly peakMemoryBytes: number;
  /** Sum of the timeline. */
  readonly seconds: number;
  readonly worstLayer: LayerError | null;
  /** What became of the tensors of the source model. */
  readonly census: CensusRecord;
  readonly warnings: readonly { readonly message: string; readonly where: string; readonly next: string }[];
  /** Files of the source model's folder that were copied, by name, with their sizes in bytes. */
  readonly copied: Readonly<Record<string, number>>;
  /** The network that was quantized, as plain data: of a graph its units. */
  readonly network: DecoderSpec | GraphRecord;
  readonly fingerprints: Fingerprints;
}
