import type { WarningEvent } from "../../../events/events.js";

/** What is said of a model folder without a tokenizer where the run itself needs none. */
export function noTokenizer(folder: string): WarningEvent {
  return {
    event: "warning",
    where: folder,
    message:
      "there is no tokenizer.json, so that the result has none either, and nothing can be measured or written with it",
    next: "download the tokenizer files of the model into this folder, and run the same command again",
  };
}
