import { OptionError } from "../errors.js";
import { checkSampling } from "../evaluate/generation/sample-token.js";
import type { GenerateParameters } from "../run/engine/engine-protocol.js";
import { evaluationDefaults } from "../run/options/evaluation-defaults.js";

/** How an answer is sampled, and where it ends. */
export interface AnswerOptions {
  /** Most tokens to generate. `generate` defaults to 64, or 512 for an answer; `chat` to as many as the context has room for. */
  readonly tokens?: number;
  /** 0 (default) takes the most likely token; 1 samples from the model's own distribution. */
  readonly temperature?: number;
  /** Samples among the most likely tokens that together have this probability, with a temperature above 0. Defaults to 1: all. */
  readonly topP?: number;
  /** Samples among this many of the most likely tokens, with a temperature above 0. Defaults to all. */
  readonly topK?: number;
  /** Seed of the sampling, with a temperature above 0. Defaults to 0. */
  readonly seed?: number;
  /** A text, or several, at which it ends, and which is not part of it. Defaults to none. */
  readonly stop?: string | readonly string[];
  /** Stops it; the model stays loaded. */
  readonly signal?: AbortSignal;
}

export interface GenerateOptions extends AnswerOptions {
  /** Continues the prompt as it is, also where the model has a chat template. Defaults to false. */
  readonly raw?: boolean;
}

/**
 * What the engine is asked for.
 *
 * @throws OptionError for a value out of its range, and for one that nothing would read
 */
export function generationParameters(options: AnswerOptions): Omit<GenerateParameters, "prompt" | "raw"> {
  const { tokens = null, temperature = evaluationDefaults.temperature, topP, topK, seed } = options;
  if (tokens !== null && !(Number.isSafeInteger(tokens) && tokens >= 1)) {
    throw new OptionError({ where: "tokens", what: `${tokens} is no number of tokens`, next: "give 1 or more" });
  }
  const limits = { ...(topP !== undefined && { topP }), ...(topK !== undefined && { topK }) };
  checkSampling({ temperature, ...limits });
  const [unread] = Object.keys({ ...limits, ...(seed !== undefined && { seed }) });
  if (unread !== undefined && temperature === 0) {
    throw new OptionError({
      where: unread,
      what: "nothing is random at temperature 0, which takes the most likely token",
      next: `give a temperature above 0 (--temperature 0.8), or leave ${unread} out`,
    });
  }
  const stop = [options.stop ?? []].flat();
  if (stop.includes("")) {
    throw new OptionError({
      where: "stop",
      what: "an empty text ends everything",
      next: "give at least one character",
    });
  }
  return { tokens, stop, sampling: { temperature, ...limits, seed: seed ?? evaluationDefaults.seed } };
}
