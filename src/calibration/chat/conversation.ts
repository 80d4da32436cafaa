import { quote } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";
import { ContentParts, type Dict, isDict, isList, type Value } from "./jinja/values.js";

/** One turn of a conversation, as the data file has it: templates may look at more fields than `role` and `content`. */
export type Message = Dict;

/** Names of what a model thought before it answered; templates read the first. */
const reasoningNames = ["reasoning_content", "thinking", "reasoning"] as const;

/** Whether a value is a list of messages, each with a role. */
export function isMessages(value: Value | undefined): value is readonly Message[] {
  return (
    value !== undefined &&
    isList(value) &&
    value.length > 0 &&
    value.every((message) => isDict(message) && typeof message.get("role") === "string")
  );
}

/**
 * The messages as a template gets them from transformers: without the fields that are null, reasoning under its usual
 * name, and lists of content parts marked, so that no template writes one as it is.
 *
 * @throws CalibrationError for a part that is no text.
 */
export function conversationOf(messages: readonly Message[], where: string): Message[] {
  return messages.map((message) => {
    const fields = new Map([...message].filter(([, value]) => value !== null));
    const reasoning = reasoningNames.map((name) => fields.get(name)).find((value) => value !== undefined);
    const named =
      reasoning === undefined
        ? fields
        : new Map([["thinking", reasoning] as const, ...fields, ["reasoning_content", reasoning] as const]);
    const content = named.get("content");
    if (content !== undefined && isList(content)) {
      for (const part of content) checkPart(part, where);
      named.set("content", ContentParts.from(content));
    }
    return named;
  });
}

/** The texts of all content parts, without white space around them. */
export function partsOf(messages: readonly Message[]): string[] {
  return messages.flatMap((message) => {
    const content = message.get("content");
    if (!(content instanceof ContentParts)) return [];
    return Array.from(content, (part) => textOfPart(part)?.trim() ?? "");
  });
}

function textOfPart(part: Value): string | undefined {
  const text = isDict(part) ? part.get("text") : part;
  return typeof text === "string" ? text : undefined;
}

/**
 * The same messages with the texts of their parts joined, for templates that take strings.
 *
 * @throws CalibrationError for a part without text.
 */
export function withJoinedParts(messages: readonly Message[], where: string): Message[] {
  return messages.map((message) => {
    const content = message.get("content");
    if (!(content instanceof ContentParts)) return message;
    const texts = Array.from(content, (part) => {
      const text = textOfPart(part);
      if (text !== undefined) return text;
      throw new CalibrationError({
        what: "the model's chat template takes messages of plain text, and a part of this one has none",
        where,
        next: 'write the content as one string, or its parts as {"type": "text", "text": "..."}',
      });
    });
    return new Map([...message, ["content", texts.join("")]]);
  });
}

function checkPart(part: Value, where: string): void {
  const type = isDict(part) ? part.get("type") : undefined;
  if (typeof type !== "string" || type === "text") return;
  throw new CalibrationError({
    what: `a message has a part of the type ${quote(type)}, and only text can be calibrated on`,
    where,
    next: "leave the part or the line out",
  });
}
