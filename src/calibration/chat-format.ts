import { Template } from "@huggingface/jinja";
import { CalibrationError } from "../errors.js";

/** What conversations need of a tokenizer. */
export interface ChatSource {
  /** Jinja source; null where the model has none. */
  readonly chatTemplate: string | null;
  /** The template's `bos_token`, by id. */
  readonly startToken: number | null;
  /** The first is the template's `eos_token`. */
  readonly eosTokens: readonly number[];
  /** Text of a token. */
  tokenText(id: number): string | null;
}

/** One turn of a conversation, as the data file has it: templates may look at more fields than these two. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
}

// Templates may print today's date. The same text must give the same tokens tomorrow, or a run could not be continued:
// a macro of the same name takes the function's place.
const fixedDate = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}";

/** Writes conversations as the text that a model was trained on. */
export class ChatFormat {
  readonly #template: Template | null;
  readonly #source: ChatSource | null;

  /**
   * @param source the model's tokenizer, or null where there is none and messages are refused
   * @throws CalibrationError when the template is no valid Jinja.
   */
  constructor(source: ChatSource | null) {
    this.#source = source;
    const template = source?.chatTemplate ?? null;
    try {
      this.#template = template === null ? null : new Template(`${fixedDate}${template}`);
    } catch (cause) {
      throw new CalibrationError({
        what: "the model's chat template is not valid",
        ...(cause instanceof Error && { why: cause.message }),
        next: 'give text with a field "text" instead, or restore the model\'s tokenizer_config.json',
        cause,
      });
    }
  }

  /**
   * The text of one conversation, without a prompt for a further answer.
   *
   * @param where the file and line, for the error
   * @throws CalibrationError when the model has no template, or when the template refuses the messages.
   */
  render(messages: readonly ChatMessage[], where: string): string {
    if (this.#template === null) {
      throw new CalibrationError({
        what: "these are chat messages, and the model has no chat template",
        where,
        next: 'give lines with a field "text", or calibrate a model whose tokenizer_config.json has a chat_template',
      });
    }
    try {
      return this.#template.render({
        messages,
        bos_token: this.#textOf(this.#source?.startToken),
        eos_token: this.#textOf(this.#source?.eosTokens[0]),
        add_generation_prompt: false,
      });
    } catch (cause) {
      throw new CalibrationError({
        what: "the model's chat template refuses these messages",
        where,
        ...(cause instanceof Error && { why: cause.message }),
        next: "correct the order and the roles of the messages, or leave the line out",
        cause,
      });
    }
  }

  #textOf(token: number | null | undefined): string {
    return (token === null || token === undefined ? null : this.#source?.tokenText(token)) ?? "";
  }
}
