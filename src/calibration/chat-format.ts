import { Template } from "@huggingface/jinja";
import { CalibrationError } from "../errors.js";

/** What a model's tokenizer says about conversations. */
export interface ChatSource {
  /** Jinja source, as `tokenizer_config.json` or `chat_template.jinja` holds it; null where the model has none. */
  readonly chatTemplate: string | null;
  /** Text of the start token, for the template's variable `bos_token`. */
  readonly startText?: string | null;
  /** Text of the end token, for `eos_token`. */
  readonly endText?: string | null;
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
  readonly #source: ChatSource;

  /** @throws CalibrationError when the template is no valid Jinja. */
  constructor(source: ChatSource) {
    this.#source = source;
    try {
      this.#template = source.chatTemplate === null ? null : new Template(`${fixedDate}${source.chatTemplate}`);
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
        bos_token: this.#source.startText ?? "",
        eos_token: this.#source.endText ?? "",
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
}
