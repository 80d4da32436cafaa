import { CalibrationError } from "../../errors.js";
import { ChatFormat, type ChatSource } from "./chat-format.js";

/** One turn of a conversation with a model. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What a prompt needs of a tokenizer. */
export interface ChatTokens extends ChatSource {
  readonly addedTokens: readonly { readonly content: string; readonly id: number; readonly special: boolean }[];
  encode(text: string): Int32Array;
}

export interface ChatPrompt {
  readonly ids: Int32Array;
  /** The oldest messages that were left out, because the context has no room for them. */
  readonly dropped: number;
}

/** Stands for an answer where only what the template puts behind it matters. */
const ANSWER = "An answer.";

/** Writes conversations as prompts of a model's chat template, and knows what ends its answers. */
export class ChatPrompts {
  readonly #format: ChatFormat;

  /**
   * @param where the model, for errors
   * @throws CalibrationError when the template is not valid, or has a construct that is not computed here
   */
  constructor(
    private readonly tokens: ChatTokens,
    private readonly where: string,
  ) {
    this.#format = new ChatFormat(tokens);
  }

  /** Whether the model has a chat template. */
  get available(): boolean {
    return this.#format.hasTemplate;
  }

  /** Ids of the special tokens that the template puts directly behind an answer: one, or none where it is no special one. */
  endTokens(): readonly number[] {
    let text: string;
    try {
      text = this.#text([
        { role: "user", content: "A question." },
        { role: "assistant", content: ANSWER },
      ]);
    } catch {
      // A template that refuses so short a conversation: the end tokens of the model's files have to do.
      return [];
    }
    const behind = text.slice(text.lastIndexOf(ANSWER) + ANSWER.length).trimStart();
    const found = this.tokens.addedTokens.filter(({ special, content }) => special && behind.startsWith(content));
    return found
      .sort((a, b) => b.content.length - a.content.length)
      .slice(0, 1)
      .map(({ id }) => id);
  }

  /**
   * Tokens of a conversation, with what an answer begins with behind them. Where they are more than `most`, the oldest
   * messages go, up to a question; the system message and the last one stay.
   *
   * @throws CalibrationError when the template refuses the messages, or these two alone are too long
   */
  prompt(messages: readonly ChatMessage[], most: number): ChatPrompt {
    const system = messages.filter(({ role }, i) => role === "system" && i === 0);
    let turns = messages.slice(system.length);
    for (;;) {
      const ids = this.#ids([...system, ...turns]);
      const dropped = messages.length - system.length - turns.length;
      if (ids.length <= most) return { ids, dropped };
      const next = turns.findIndex(({ role }, i) => i > 0 && role === "user");
      if (next === -1) throw tooLong(ids.length, most, this.where);
      turns = turns.slice(next);
    }
  }

  // As transformers does: the template writes the start token, where the model wants one.
  #ids(messages: readonly ChatMessage[]): Int32Array {
    return this.tokens.encode(this.#text(messages, true));
  }

  #text(messages: readonly ChatMessage[], asking = false): string {
    const turns = messages.map(({ role, content }) => new Map(Object.entries({ role, content })));
    return this.#format.render(turns, null, this.where, asking);
  }
}

function tooLong(tokens: number, most: number, where: string): CalibrationError {
  return new CalibrationError({
    what: `the message takes ${tokens} tokens, and the model's context has room for ${most} beside an answer`,
    where,
    next: "send a shorter message, or a shorter system message",
  });
}
