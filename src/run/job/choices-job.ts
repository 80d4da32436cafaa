import { encodeDocuments } from "../../checkpoint/tokenizer/token-cache.js";
import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { type ChoiceQuestion, readChoiceQuestions } from "../../evaluate/choices/choice-questions.js";
import { type EncodedQuestion, encodeQuestion, questionTexts } from "../../evaluate/choices/encode-question.js";
import { multipleChoice } from "../../evaluate/choices/multiple-choice.js";
import type { ChoicesParameters } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ChoicesEvent, WorkEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { LoadedModel } from "../source/open-model.js";
import { openTokenizer } from "../source/read-tokens.js";

/** Questions that are encoded together: their texts, joined with every choice, are in memory at once. */
const encodedTogether = 256;

/** Lets a loaded model answer the multiple-choice questions of a file. */
export async function choicesJob(
  model: LoadedModel,
  { file, limit, delimiter }: ChoicesParameters,
  request: RequestContext<WorkEvent>,
): Promise<ChoicesEvent> {
  const { emit, poll } = request;
  const tokenizer = await openTokenizer(model.folder, model.decoder.spec, request);
  const questions = await readChoiceQuestions(file, limit ?? undefined);
  const encoded = await encodeQuestions(questions, delimiter, tokenizer, request);
  const progress = pacedProgress(emit, "scoring choices");
  const { cut, ...result } = multipleChoice(model.decoder, encoded, {
    onProgress: (done, total) => {
      poll();
      progress(done, total);
    },
  });
  if (cut > 0) {
    emit({
      event: "warning",
      where: file,
      message: `${cut} of ${questions.length} questions are longer than the model's context; they lost their beginning`,
      next: "compare with models of the same context only, or shorten the questions",
    });
  }
  return { event: "choices", ...result };
}

async function encodeQuestions(
  questions: readonly ChoiceQuestion[],
  delimiter: string,
  tokenizer: Tokenizer,
  { emit, signal }: RequestContext<WorkEvent>,
): Promise<EncodedQuestion[]> {
  const progress = pacedProgress(emit, "reading questions");
  const encoded: EncodedQuestion[] = [];
  for (let start = 0; start < questions.length; start += encodedTogether) {
    progress(start, questions.length);
    const part = questions.slice(start, start + encodedTogether);
    const texts = part.map((question) => questionTexts(question, delimiter));
    const flat = texts.flatMap(({ context, wholes }) => [context, ...wholes]);
    const ids = (await encodeDocuments(tokenizer, flat, { signal })).values();
    for (const question of part) {
      const context = next(ids);
      const wholes = question.choices.map(() => next(ids));
      encoded.push(encodeQuestion(question, { context, wholes }, tokenizer));
    }
  }
  return encoded;
}

function next(ids: Iterator<Int32Array>): Int32Array {
  return ids.next().value as Int32Array;
}
