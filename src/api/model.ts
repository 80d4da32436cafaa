import type { ChatMessage } from "../calibration/chat/chat-prompt.js";
import { withRevision } from "../checkpoint/hub/hub-name.js";
import { InputError, OptionError } from "../errors.js";
import { EngineClient } from "../run/engine/engine-client.js";
import type { Generated, LoadOptions, Logits, OpenedModel, TextParameters } from "../run/engine/engine-protocol.js";
import type { ChoicesEvent, PerplexityEvent, ReferenceEvent, WorkEvent } from "../run/events/events.js";
import { evaluationDefaults } from "../run/options/evaluation-defaults.js";
import { homePath } from "../run/options/parse/path-option.js";
import { checkInputs } from "../run/source/check-inputs.js";
import { type AnswerOptions, type GenerateOptions, generationParameters } from "./answer-options.js";

export type { ChatMessage } from "../calibration/chat/chat-prompt.js";
export type { Generated, LoadOptions, Logits } from "../run/engine/engine-protocol.js";
export type { AnswerOptions, GenerateOptions } from "./answer-options.js";

/** Text to evaluate on, and how. */
export interface EvaluateOptions {
  /** Files or folders: `.txt` (a document each), `.jsonl` and `.parquet` (field `text` or `messages`). */
  readonly text: string | readonly string[];
  /** Tokens per sequence. Defaults to 2048, or to the longest that the model was made for. */
  readonly context?: number;
  /** Most sequences of `context` tokens to look at, from the first. Defaults to all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Sees progress and warnings on the way. */
  readonly onEvent?: (event: WorkEvent) => void;
}

/** A text to compare two models on. */
export interface CompareOptions extends EvaluateOptions {
  /** Model folder, result or `owner/name@revision` of the hub, as for `loadModel`; it must have the same tokens. */
  readonly reference: string;
}

/** Multiple-choice questions, and how to read them. */
export interface ChoicesOptions {
  /**
   * JSONL file, one question a line: `{"context": "...", "choices": ["...", "..."], "answer": 0}`. `question` is another
   * name of `context`, `label` and `gold` are others of `answer`, which may be a letter: `"A"` for the first choice.
   */
  readonly choices: string;
  /** Most questions to answer, from the first. Defaults to all. */
  readonly limit?: number;
  /** Put between context and choice where neither has white space there. Defaults to one space. */
  readonly delimiter?: string;
  readonly signal?: AbortSignal;
  /** Sees progress and warnings on the way. */
  readonly onEvent?: (event: WorkEvent) => void;
}

/** The model is worth more than the wait: a long prompt runs to its end before work that was cancelled can stop, in milliseconds. */
const GENERATION_GRACE = { milliseconds: 60_000, longest: 300_000 };

/**
 * A language model that is loaded in a worker thread of its own. It holds memory until it is
 * disposed: `await using model = await loadModel(folder)`.
 */
export class Model implements AsyncDisposable {
  readonly #engine: EngineClient;
  readonly #opened: OpenedModel;

  /** Use `loadModel`. */
  constructor(engine: EngineClient, opened: OpenedModel) {
    this.#engine = engine;
    this.#opened = opened;
  }

  /** Where it computes: `cpu` or `cuda:0`. */
  get device(): string {
    return this.#opened.device;
  }

  get vocabSize(): number {
    return this.#opened.vocabSize;
  }

  /** Longest sequence, in tokens, that the model was made for. */
  get contextLength(): number {
    return this.#opened.contextLength;
  }

  /**
   * Logits of every position of every sequence.
   *
   * @param ids token ids, `[batch][time]`; all sequences of one length.
   * @returns float32 `[batch, time, vocab]`.
   * @throws InputError for sequences of different lengths, none, or ids outside the vocabulary.
   */
  async logits(ids: readonly (readonly number[])[], options: { readonly signal?: AbortSignal } = {}): Promise<Logits> {
    const [batch, time] = [ids.length, ids[0]?.length ?? 0];
    const outside = ids.flat().find((id) => !Number.isInteger(id) || id < 0 || id >= this.vocabSize);
    if (time === 0 || ids.some((row) => row.length !== time) || outside !== undefined) {
      throw new InputError({
        where: "logits(ids)",
        what: outside === undefined ? "sequences are empty or differ in length" : `${outside} is no token id`,
        why: `ids are integers from 0 to ${this.vocabSize - 1}, [batch][time]`,
        next: "give sequences of one length; call once per length",
      });
    }
    const parameters = { ids: Int32Array.from(ids.flat()), batch, time };
    return this.#engine.call("logits", parameters, options);
  }

  /**
   * Perplexity on a text: sequences that do not overlap, mean cross-entropy of tokens 2..n of each,
   * exponentiated.
   */
  async perplexity(options: EvaluateOptions): Promise<PerplexityEvent> {
    return this.#engine.call("perplexity", textParameters(options), options);
  }

  /**
   * How far the next-token distributions are from those of a reference model, which is loaded beside this one, on the
   * same device and in the same arithmetic: divergence, agreement, and the perplexity of both. On the positions that
   * `perplexity` counts.
   *
   * @throws CheckpointError, ModelError when the two don't have the same tokens
   */
  async compare(options: CompareOptions): Promise<ReferenceEvent> {
    const parameters = { ...textParameters(options), reference: homePath(options.reference, "reference") };
    return this.#engine.call("compare", parameters, options);
  }

  /**
   * Accuracy on multiple-choice questions, by the log-likelihood of each choice after its context, as
   * lm-evaluation-harness computes it.
   *
   * @throws CalibrationError naming the line of a question that can't be used
   */
  async choices(options: ChoicesOptions): Promise<ChoicesEvent> {
    const { choices, limit = null, delimiter = evaluationDefaults.delimiter } = options;
    checkLimit(limit, "questions");
    return this.#engine.call("choices", { file: homePath(choices, "choices"), limit, delimiter }, options);
  }

  /**
   * Answers a prompt by the model's chat template, or continues it where the model has none; yields pieces of text as they
   * appear, and returns how it ended.
   *
   * @throws OptionError for options out of range, and for those of sampling where nothing is sampled
   */
  async *generate(prompt: string, options: GenerateOptions = {}): AsyncGenerator<string, Generated> {
    const { raw = false, tokens } = options;
    generationParameters(options);
    const chat = !raw && tokens === undefined && (await this.hasChatTemplate());
    const most = tokens ?? (chat ? evaluationDefaults.answerTokens : evaluationDefaults.tokens);
    return yield* this.#generate(prompt, raw, { ...options, tokens: most });
  }

  /**
   * Answers the last message of a conversation; yields pieces of text as they appear, and returns how it ended. Where the
   * conversation is longer than the model's context, its oldest messages are left out, up to a question, but no system message.
   * What it shares with the conversation before is not computed again.
   *
   * @throws InputError when the model has no chat template; CalibrationError for messages that it refuses, or that are too long;
   *   OptionError as `generate`
   */
  async *chat(messages: readonly ChatMessage[], options: AnswerOptions = {}): AsyncGenerator<string, Generated> {
    return yield* this.#generate(messages, false, options);
  }

  /** Whether the model has a chat template, with which it answers messages. */
  async hasChatTemplate(options: { readonly signal?: AbortSignal } = {}): Promise<boolean> {
    return this.#engine.call("hasChatTemplate", null, options);
  }

  async *#generate(
    prompt: string | readonly ChatMessage[],
    raw: boolean,
    options: AnswerOptions,
  ): AsyncGenerator<string, Generated> {
    const parameters = { prompt, raw, ...generationParameters(options) };
    const { signal } = options;
    const events = this.#engine.stream("generate", parameters, { signal, grace: GENERATION_GRACE });
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true) return next.value;
        yield next.value.text;
      }
    } finally {
      // A caller that leaves its loop stops the work.
      await events.return(undefined as never);
    }
  }

  /** Frees the model and ends its worker thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
  }
}

/**
 * Loads a model folder, or a result of `quantize`, whose weights are then decoded from the written codes; of the Hugging Face Hub
 * both by name: `owner/name`, `owner/name@revision`.
 *
 * @throws CheckpointError, ModelError for a folder that can't be read; EnvironmentError without libtorch.
 */
export async function loadModel(
  folder: string,
  options: LoadOptions & { readonly signal?: AbortSignal; readonly onEvent?: (event: WorkEvent) => void } = {},
): Promise<Model> {
  const engine = new EngineClient();
  try {
    const { device = evaluationDefaults.device, dtype = evaluationDefaults.dtype, signal, onEvent } = options;
    const place = withRevision(homePath(folder, "model"), options.revision, "revision");
    return new Model(engine, await engine.call("open", { folder: place, device, dtype }, { signal, onEvent }));
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Perplexity of a model, or of the model in a folder, on a text.
 *
 * @example
 * const { value } = await evaluate("llama-w4", { text: "test.jsonl", context: 2048 });
 */
export async function evaluate(
  model: Model | string,
  options: EvaluateOptions & LoadOptions,
): Promise<PerplexityEvent> {
  if (model instanceof Model) return await loadedAlready(model, options).perplexity(options);
  await checkInputs(options);
  await using loaded = await loadModel(model, options);
  return await loaded.perplexity(options);
}

/**
 * How far a model, or the model in a folder, is from a reference on a text.
 *
 * @example
 * const { divergence, topAgreement } = await compareModels("llama-w4", { reference: "llama", text: "test.jsonl" });
 */
export async function compareModels(
  model: Model | string,
  options: CompareOptions & LoadOptions,
): Promise<ReferenceEvent> {
  if (model instanceof Model) return await loadedAlready(model, options).compare(options);
  await checkInputs(options);
  await using loaded = await loadModel(model, options);
  return await loaded.compare(options);
}

/**
 * Accuracy of a model, or of the model in a folder, on multiple-choice questions.
 *
 * @example
 * const { accuracy, stderr } = await evaluateChoices("llama-w4", { choices: "arc-easy.jsonl" });
 */
export async function evaluateChoices(
  model: Model | string,
  options: ChoicesOptions & LoadOptions,
): Promise<ChoicesEvent> {
  if (model instanceof Model) return await loadedAlready(model, options).choices(options);
  await checkInputs(options);
  await using loaded = await loadModel(model, options);
  return await loaded.choices(options);
}

/** A model that is there already computes where and in what it was loaded. */
function loadedAlready(model: Model, options: LoadOptions): Model {
  const given = (["device", "dtype", "revision"] as const).find((name) => options[name] !== undefined) ?? null;
  if (given === null) return model;
  throw new OptionError({
    where: `option "${given}"`,
    what: "the model is loaded already, and stays where and as it is",
    next: `leave it out, or give ${given} to loadModel`,
  });
}

function textParameters({ text, context, limit }: EvaluateOptions): TextParameters {
  checkLimit(limit ?? null, "sequences");
  const paths = [text].flat().map((path) => homePath(path, "text"));
  return { text: paths, context: context ?? null, limit: limit ?? null };
}

function checkLimit(limit: number | null, what: string): void {
  if (limit === null || (Number.isSafeInteger(limit) && limit >= 1)) return;
  throw new OptionError({ where: "limit", what: `${limit} is no number of ${what}`, next: "give 1 or more" });
}
