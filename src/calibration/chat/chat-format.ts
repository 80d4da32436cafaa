import { clip } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";
import { conversationOf, type Message, partsOf, withJoinedParts } from "./conversation.js";
import { Template } from "./jinja/render-template.js";
import { TemplateError, UnsupportedConstruct } from "./jinja/template-error.js";
import type { Value } from "./jinja/values.js";

/** What conversations need of a tokenizer. */
export interface ChatSource {
  /** Jinja source; null where the model has none. */
  readonly chatTemplate: string | null;
  /** Jinja source for conversations with tools, where the model has one of its own for them. */
  readonly toolTemplate: string | null;
  /** The texts that tokenizer_config.json gives to roles: `bos_token`, `eos_token`, `unk_token` and others. */
  readonly roleTokens: ReadonlyMap<string, string>;
}

/** Writes conversations as the text that a model was trained on: as `apply_chat_template` of transformers does. */
export class ChatFormat {
  readonly #template: Template | null;
  readonly #toolTemplate: Template | null;
  readonly #source: ChatSource | null;

  /**
   * @param source the model's tokenizer, or null where there is none and messages are refused
   * @throws CalibrationError when a template is no valid Jinja, or has a block that is not computed here.
   */
  constructor(source: ChatSource | null) {
    this.#source = source;
    this.#template = compile(source?.chatTemplate ?? null);
    this.#toolTemplate = compile(source?.toolTemplate ?? null);
  }

  /** Whether the model has a chat template at all. */
  get hasTemplate(): boolean {
    return this.#template !== null;
  }

  /**
   * The text of one conversation.
   *
   * @param tools what the model may call, as the record has it; null for none
   * @param where the file and line, for the error
   * @param asking true: it ends with what the model's next answer begins with
   * @throws CalibrationError when the model has no template, or when the template refuses the messages.
   */
  render(messages: readonly Message[], tools: Value, where: string, asking = false): string {
    const template = tools === null ? this.#template : (this.#toolTemplate ?? this.#template);
    if (template === null) {
      throw new CalibrationError({
        what: "these are chat messages, and the model has no chat template",
        where,
        next: 'give lines with a field "text", or calibrate a model whose tokenizer_config.json has a chat_template',
      });
    }
    const conversation = conversationOf(messages, where);
    const parts = partsOf(conversation);
    let text = "";
    try {
      text = this.#write(template, conversation, tools, asking);
      if (parts.every((part) => text.includes(part))) return text;
    } catch (cause) {
      if (parts.length === 0) throw refusal(cause, where);
    }
    // The template takes plain strings: it fails on a list, or leaves it out.
    try {
      const plain = this.#write(template, withJoinedParts(conversation, where), tools, asking);
      const found = (output: string): number => parts.filter((part) => output.includes(part)).length;
      return text !== "" && found(text) >= found(plain) ? text : plain;
    } catch (cause) {
      throw refusal(cause, where);
    }
  }

  #write(template: Template, messages: readonly Message[], tools: Value, asking: boolean): string {
    return template.render([
      ...(this.#source?.roleTokens ?? []),
      ["messages", messages],
      ["tools", tools],
      ["documents", null],
      ["add_generation_prompt", asking],
    ]);
  }
}

function compile(source: string | null): Template | null {
  if (source === null) return null;
  try {
    return new Template(source);
  } catch (cause) {
    if (!(cause instanceof TemplateError)) throw cause;
    throw new CalibrationError({
      what:
        cause instanceof UnsupportedConstruct
          ? "the model's chat template has a construct that is not computed here"
          : "the model's chat template is not valid",
      why: clip(cause.message),
      next: 'give text with a field "text" instead, or restore the model\'s tokenizer_config.json',
      cause,
    });
  }
}

function refusal(cause: unknown, where: string): unknown {
  if (!(cause instanceof TemplateError)) return cause;
  const isUnsupported = cause instanceof UnsupportedConstruct;
  return new CalibrationError({
    what: isUnsupported
      ? "the model's chat template has a construct that is not computed here"
      : "the model's chat template refuses these messages",
    where,
    why: clip(cause.message),
    next: isUnsupported
      ? 'give lines with a field "text", written with the template in Python: tokenizer.apply_chat_template(messages, tokenize=False)'
      : "correct the order and the roles of the messages, or leave the line out",
    cause,
  });
}
