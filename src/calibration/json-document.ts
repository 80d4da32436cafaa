import { CalibrationError } from "../errors.js";
import type { ChatFormat, ChatMessage } from "./chat-format.js";

/**
 * The text of one line of a `.jsonl` file: its field `text`, else its field `messages` through the chat template.
 *
 * @param where the file and line, for the error
 * @throws CalibrationError when the line is no JSON object, or has neither field in the right form.
 */
export function textOfJsonLine(line: string, chat: ChatFormat, where: string): string {
  const record = parseObject(line, where);
  if (typeof record["text"] === "string") return record["text"];
  const messages = record["messages"];
  if (isMessages(messages)) return chat.render(messages, where);
  throw new CalibrationError({
    what: `neither a "text" that is a string nor "messages" that have a role each`,
    where,
    why: `the line has ${keyList(record)}`,
    next: 'write every line as {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]}',
  });
}

function parseObject(line: string, where: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  let cause: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    cause = error;
  }
  if (isObject(value)) return value;
  throw new CalibrationError({
    what: cause === undefined ? "the line is no JSON object" : "the line is not valid JSON",
    where,
    // V8 quotes the whole line: the reader has the line's number, and a document may be long.
    ...(cause instanceof Error && { why: cause.message.slice(0, 120) }),
    next: "write one JSON object a line; plain text belongs into a .txt file",
    cause,
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessages(value: unknown): value is readonly ChatMessage[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((message) => isObject(message) && typeof message["role"] === "string")
  );
}

function keyList(record: Readonly<Record<string, unknown>>): string {
  const keys = Object.keys(record);
  if (keys.length === 0) return "no keys";
  const shown = keys.slice(0, 12).map((key) => JSON.stringify(key.slice(0, 40)));
  return `${keys.length === 1 ? "the key" : "the keys"} ${shown.join(", ")}${keys.length > 12 ? ", ..." : ""}`;
}
