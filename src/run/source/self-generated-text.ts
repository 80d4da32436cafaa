import { join } from "node:path";
import { type DocumentBounds, documentBounds } from "../../calibration/self-generated/document-bounds.js";
import { firstTokens } from "../../calibration/self-generated/first-tokens.js";
import { generateSequences, type SequenceGeneration } from "../../calibration/self-generated/generate-sequences.js";
import {
  firstSequences,
  type SequenceKey,
  storedSequences,
  storeSequences,
} from "../../calibration/self-generated/stored-sequences.js";
import { sampleSequences, sequencesFingerprint, type TokenSequences } from "../../calibration/token-sequences.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import type { FolderWeights } from "../../checkpoint/tensor-reader.js";
import { tokenCacheFolder } from "../../checkpoint/tokenizer/token-cache.js";
import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { CrossblockError } from "../../errors.js";
import { DecoderSampler } from "../../evaluate/decoder-sampler.js";
import { checkpointSource, Decoder, type DecoderSpec, networkReader, readModel } from "../../network/index.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { type Device, MemoryLimit, releaseCachedMemory } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { WarningEvent, WorkEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { RunOptions } from "../options/options.js";
import type { Calibration } from "./calibrate.js";
import { openTokenizer, readBundledTokens } from "./read-tokens.js";
import { SCORED } from "./scored-size.js";

/** What text that a model makes up depends on, and where it waits. */
export interface TextToGenerate {
  readonly options: RunOptions;
  /** Why this text was chosen, where it was not asked for. */
  readonly why: string | null;
  /** The model of the user, not rotated, and its `config.json`. */
  readonly checkpoint: FolderWeights;
  readonly config: ModelConfig;
  readonly device: Device;
  readonly dtype: "float32" | "bfloat16";
  /** Hash of the weights. */
  readonly weights: string;
  /** What computes. */
  readonly engine: string;
  /** Sequences at once. */
  readonly atOnce: number;
  /** What tensors may take on the device; null without a budget. */
  readonly tensorBytes: number | null;
  /** The work folder, which keeps the sequences for a run that is continued. */
  readonly work: string;
}

/**
 * Has the model make up its calibration text. The same model, options and machine give the same sequences, which are kept
 * in the work folder and in the user's cache and not made twice. A dry run makes none: null, unless they are there.
 *
 * @throws CalibrationError where no token fits the scripts; ModelError where the model's probabilities are no numbers
 */
export async function selfGeneratedText(
  text: TextToGenerate,
  request: RequestContext<WorkEvent>,
): Promise<Calibration | null> {
  const { options, checkpoint, config, work, why } = text;
  const { samples, context, seed } = options;
  const { spec } = readModel(config, checkpoint);
  const tokenizer = await tokenizerOf(checkpoint.folder, spec, request);
  if (tokenizer === null && (options.selfGenerated.scripts?.length ?? 0) > 0)
    request.emit(anyScript(checkpoint.folder));
  const bounds = tokenizer === null ? { start: null, ends: new Set<number>() } : documentBounds(tokenizer);
  const generation = generationOf(options, tokenizer, bounds, spec);
  const key = keyOf(text, tokenizer, bounds);
  const shape = { sequences: samples, context, vocabulary: spec.vocabSize };
  const cache = join(tokenCacheFolder(), "generated");
  const kept = (await storedSequences(work, key, shape)) ?? (await storedSequences(cache, key, shape));
  if (kept === null && options.dryRun) return null;
  const sequences =
    kept ?? (await generate(text, spec, generation, tokenizer?.idLimit ?? spec.vocabSize, key, request));
  // One that is continued must find them, whatever becomes of the cache.
  if (kept !== null && !options.dryRun) await storeSequences(work, key, sequences);
  if (kept === null) await storeSequences(cache, key, sequences).catch(ignoreSystem);
  const hash = sequencesFingerprint(sequences, { tokenizer: tokenizer?.hash ?? "none", seed });
  const [documents, tokens] = [samples, samples * context];
  return {
    tokens: sequences,
    tokenizer: tokenizer?.hash ?? null,
    heldOut: tokenizer === null ? null : await bundledSequences(tokenizer, spec, { request, seed }),
    event: { event: "calibrate", source: "self-generated", why, documents, tokens, sequences: samples, context, hash },
  };
}

async function tokenizerOf(
  folder: string,
  spec: DecoderSpec,
  request: RequestContext<WorkEvent>,
): Promise<Tokenizer | null> {
  return ModelFolder.open(folder).has("tokenizer.json") ? openTokenizer(folder, spec, request) : null;
}

function generationOf(
  options: RunOptions,
  tokenizer: Tokenizer | null,
  { start, ends }: DocumentBounds,
  spec: DecoderSpec,
): SequenceGeneration {
  const { context, seed, selfGenerated } = options;
  const { temperature, greedy, scripts } = selfGenerated;
  return {
    context,
    seed,
    temperature,
    greedy,
    firstTokens: firsts(),
    startToken: start,
    endTokens: ends,
  };

  function firsts(): Int32Array | null {
    // Without a tokenizer nobody knows what is written in what.
    if (tokenizer === null) return Int32Array.from({ length: spec.vocabSize }, (_, id) => id);
    // A sequence has to begin with something.
    return scripts === null && start !== null ? null : firstTokens(tokenizer, scripts ?? []);
  }
}

// What a model made up is no text to score it by: nothing is as likely to it.
async function bundledSequences(
  tokenizer: Tokenizer,
  { maxPositions }: DecoderSpec,
  { request, seed }: { readonly request: RequestContext<WorkEvent>; readonly seed: number },
): Promise<TokenSequences> {
  const [samples, context] = [SCORED.sequences, Math.min(SCORED.context, maxPositions)];
  const { ids } = await readBundledTokens(tokenizer, request, { wanted: samples * context, seed });
  return sampleSequences(ids, { samples, context, seed, start: tokenizer.sequenceStart });
}

/** Raised when the same key would give other sequences. */
const RULES = 3;

function keyOf(
  { options, dtype, weights, engine }: TextToGenerate,
  tokenizer: Tokenizer | null,
  { start, ends }: DocumentBounds,
): SequenceKey {
  const { samples, context, seed, selfGenerated } = options;
  const { temperature, greedy, scripts } = selfGenerated;
  const decided = { samples, context, seed, temperature, greedy, scripts };
  const tokens = { tokenizer: tokenizer?.hash ?? null, start, ends: [...ends].join(" ") };
  return { rules: RULES, weights, ...tokens, dtype, engine, ...decided };
}

// What is finished is kept after every part, so that a run that is stopped goes on from there.
async function generate(
  { options, checkpoint, device, dtype, atOnce, tensorBytes, work }: TextToGenerate,
  spec: DecoderSpec,
  generation: SequenceGeneration,
  limit: number,
  key: SequenceKey,
  { emit, poll }: RequestContext<WorkEvent>,
): Promise<TokenSequences> {
  const { samples, context } = options;
  using _limit = tensorBytes === null ? null : MemoryLimit.set(device, tensorBytes);
  const source = checkpointSource(networkReader(spec, checkpoint), { device, dtype });
  const ids = new Int32Array(samples * context);
  const begun = await firstSequences(work, key, { sequences: samples, context, vocabulary: spec.vocabSize });
  if (begun !== null) ids.set(begun.ids);
  const tell = pacedProgress(emit, "making up calibration text");
  const warnings: WarningEvent[] = [];
  {
    using decoder = Decoder.load((name, shape) => {
      poll();
      return source(name, shape);
    }, spec);
    const sampler = new DecoderSampler(decoder, limit);
    const parts = new SequenceParts(atOnce, (size) => void warnings.push(smaller(device, size)));
    for (let first = begun?.sequences ?? 0; first < samples; ) {
      const rows = Math.min(parts.size, samples - first);
      parts.each(rows, (part) => {
        const at = first + (part[0] ?? 0);
        const numbers = part.map((row) => first + row);
        const written = generateSequences(sampler, numbers, generation, (done) => {
          poll();
          tell(at * context + done * part.length, samples * context);
        });
        ids.set(written, at * context);
      });
      first += rows;
      await storeSequences(work, key, { ids: ids.subarray(0, first * context), sequences: first, context });
    }
  }
  releaseCachedMemory();
  for (const warning of warnings) emit(warning);
  return { ids, sequences: samples, context };
}

function anyScript(folder: string): WarningEvent {
  return {
    event: "warning",
    where: folder,
    message:
      "without tokenizer.json it can't be told what script a token is of: text that the model makes up begins with any",
    next: "download the tokenizer files of the model into this folder, or use --set selfGenerated.scripts=[]",
  };
}

function smaller(device: Device, size: number): WarningEvent {
  return {
    event: "warning",
    where: `device ${device}`,
    message: `memory ran out: ${size} sequences of text are made up at once from now on`,
    next: `give --set selfGenerated.batch=${size} next time, or a larger --max-memory if there is one`,
  };
}

// A cache that can't be written costs the time to make the text up again, and nothing else.
function ignoreSystem(error: unknown): void {
  const fromSystem = error instanceof CrossblockError || (error instanceof Error && "syscall" in error);
  if (!fromSystem) throw error;
}
