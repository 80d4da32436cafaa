import { type ChatMessage, ChatPrompts } from "../../calibration/chat/chat-prompt.js";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { InputError } from "../../errors.js";
import { generate } from "../../evaluate/generation/generate.js";
import { PromptCache } from "../../evaluate/generation/prompt-cache.js";
import { StopTexts } from "../../evaluate/generation/stop-texts.js";
import { TextStream } from "../../evaluate/generation/text-stream.js";
import type { Generated, GenerateParameters, TextEvent } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { evaluationDefaults } from "../options/evaluation-defaults.js";
import type { LoadedModel } from "../source/open-model.js";

type Prompt = Pick<Generated, "chat" | "dropped"> & { readonly ids: Int32Array; readonly stop: ReadonlySet<number> };

/** Continues texts and answers messages with a loaded model. Holds the keys and values of the last conversation. */
export class TextGenerator implements Disposable {
  readonly #chat: ChatPrompts;
  readonly #conversation: PromptCache;

  private constructor(
    private readonly model: LoadedModel,
    private readonly tokenizer: Tokenizer,
  ) {
    this.#chat = new ChatPrompts(tokenizer, model.folder);
    this.#conversation = new PromptCache(model.decoder);
  }

  /** @throws CheckpointError without a tokenizer; CalibrationError for a chat template that is not valid */
  static async open(model: LoadedModel): Promise<TextGenerator> {
    return new TextGenerator(model, await Tokenizer.open(model.folder, model.decoder.spec.vocabSize));
  }

  /** Whether it answers messages: the model has a chat template. */
  get answers(): boolean {
    return this.#chat.available;
  }

  /** Sends the text as its characters become complete. */
  generate(parameters: GenerateParameters, { emit, poll }: RequestContext<TextEvent>): Generated {
    const { tokens, stop, sampling, prompt } = parameters;
    const { ids, chat, dropped, stop: ends } = this.#prompt(parameters);
    const options = { ...sampling, tokens: tokens ?? Number.POSITIVE_INFINITY, stop: ends };
    // Only a conversation goes on: a text alone gives the same numbers whatever was asked before.
    const kept = typeof prompt === "string" ? undefined : this.#conversation;
    const started = performance.now();
    const decode = (some: readonly number[]): string => this.tokenizer.decode(some, { skipSpecialTokens: true });
    const stream = new TextStream(decode, ids);
    const until = new StopTexts(stop);
    const send = (text: string): void => {
      if (text !== "") emit({ event: "text", text });
    };
    const running = generate(this.model.decoder, ids, options, kept);
    let count = 0;
    let ended: Generated["ended"] | null = null;
    while (ended === null) {
      poll();
      const next = running.next();
      if (next.done === true) {
        send(until.push(stream.end()));
        ended = until.stopped ? "stop text" : next.value === "stop token" ? "end token" : next.value;
      } else {
        count++;
        send(until.push(stream.push(next.value)));
        if (until.stopped) ended = "stop text";
      }
    }
    running.return("tokens");
    send(until.end());
    const seconds = (performance.now() - started) / 1000;
    return { chat, promptTokens: ids.length, tokens: count, seconds, ended, dropped };
  }

  [Symbol.dispose](): void {
    this.#conversation.dispose();
  }

  #prompt({ prompt, raw, tokens }: GenerateParameters): Prompt {
    const { tokenizer } = this;
    const ends = tokenizer.endTokens;
    if (typeof prompt === "string" && (raw || !this.#chat.available)) {
      const start = tokenizer.startToken === null ? [] : [tokenizer.startToken];
      const ids = Int32Array.from([...start, ...tokenizer.encode(prompt)]);
      return { ids, stop: new Set(ends), chat: false, dropped: 0 };
    }
    if (!this.#chat.available) throw noTemplate(this.model.folder);
    const messages: readonly ChatMessage[] = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
    const { maxPositions } = this.model.decoder.spec;
    // Beside the conversation there is room for an answer: the one that is asked for, or a quarter of the context.
    const answer = Math.min(tokens ?? evaluationDefaults.answerTokens, Math.floor(maxPositions / 4));
    const asked = this.#chat.prompt(messages, maxPositions - answer);
    return { ...asked, stop: new Set([...ends, ...this.#chat.endTokens()]), chat: true };
  }
}

function noTemplate(folder: string): InputError {
  return new InputError({
    where: folder,
    what: "the model has no chat template",
    why: "it continues texts, and was not made for conversations",
    next: `continue a text: crossblock generate ${shellWord(folder)} --prompt "Once upon a time"`,
  });
}
