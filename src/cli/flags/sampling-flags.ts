import type { Command } from "commander";
import type { AnswerOptions } from "../../api/model.js";
import { OptionError } from "../../errors.js";
import { wholeNumber } from "./whole-number.js";

/** What the flags of sampling give; a flag that is not given is absent. */
export type SamplingFlags = Pick<AnswerOptions, "temperature" | "topP" | "topK" | "seed"> & {
  readonly stop?: readonly string[];
};

/** Adds the flags that `generate` and `chat` share; `defaults` says what is taken where one is not given. */
export function addSamplingFlags(
  command: Command,
  defaults: { readonly temperature: string; readonly topP: string; readonly seed: string },
): Command {
  return command
    .option(
      "--temperature <t>",
      `0 takes the most likely token, 1 samples from the model's own distribution (default: ${defaults.temperature})`,
      temperature,
    )
    .option(
      "--top-p <p>",
      `sample among the most likely tokens that have this probability together (default: ${defaults.topP})`,
      probability,
    )
    .option("--top-k <n>", "sample among the n most likely tokens (default: all)", wholeNumber("--top-k", 1))
    .option("--seed <n>", `seed of the sampling (default: ${defaults.seed})`, wholeNumber("--seed", 0))
    .option(
      "--stop <text>",
      "end where the model writes this; may be given several times",
      (text: string, before: readonly string[] = []) => [...before, stopText(text)],
    );
}

function temperature(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0 && text.trim() !== "") return value;
  throw new OptionError({
    where: "--temperature",
    what: `"${text}" is no number of at least 0`,
    next: "give 0 for the most likely text, 0.8 for a livelier one",
  });
}

function probability(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  throw new OptionError({
    where: "--top-p",
    what: `"${text}" is no probability above 0, at most 1`,
    next: "give 0.95, say, or leave it out for all tokens",
  });
}

function stopText(text: string): string {
  if (text !== "") return text;
  throw new OptionError({
    where: "--stop",
    what: "an empty text would end everything",
    next: "give at least one character",
  });
}
