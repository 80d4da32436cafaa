import { Template } from "../../calibration/chat/jinja/render-template.js";
import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";

/** A prompt as the page shows it, and as the model reads it. */
export interface SamplePrompt {
  readonly shown: string;
  readonly ids: Int32Array;
}

/** What every result is asked: of a model that follows instructions, questions; of another, beginnings of texts. */
const questions = ["Explain in two sentences why the sky is blue.", "List three uses of a paper clip."];
const beginnings = ["The most important thing to know about the ocean is", "In the year 1969, people"];

/** The prompts of the sample texts, in the model's own chat template where it has one that can be used. */
export function samplePrompts(tokenizer: Tokenizer): readonly SamplePrompt[] {
  const { chatTemplate, startToken } = tokenizer;
  if (chatTemplate !== null) {
    try {
      const template = new Template(chatTemplate);
      return questions.map((shown) => ({ shown, ids: tokenizer.encode(asked(template, tokenizer, shown)) }));
    } catch {
      // A template that is not computed here: the model continues plain text all the same.
    }
  }
  const start = startToken === null ? [] : [startToken];
  return beginnings.map((shown) => ({ shown, ids: Int32Array.from([...start, ...tokenizer.encode(shown)]) }));
}

function asked(template: Template, { roleTokens }: Tokenizer, content: string): string {
  return template.render([
    ...roleTokens,
    [
      "messages",
      [
        new Map([
          ["role", "user"],
          ["content", content],
        ]),
      ],
    ],
    ["tools", null],
    ["documents", null],
    ["add_generation_prompt", true],
  ]);
}
