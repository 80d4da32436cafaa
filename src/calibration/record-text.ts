import { quote } from "../checkpoint/json.js";
import { CalibrationError } from "../errors.js";
import type { ChatFormat, ChatMessage } from "./chat-format.js";

/** A line of a `.jsonl` file, or a row of a table. */
export type TextRecord = Readonly<Record<string, unknown>>;

/**
 * The text of a record: its field `text`, else its field `messages` through the chat template.
 *
 * @param where the file and line, for the error
 * @throws CalibrationError when the record has neither field in the right form.
 */
export function textOfRecord(record: TextRecord, chat: ChatFormat, where: string): string {
  if (typeof record["text"] === "string") return record["text"];
  const messages = record["messages"];
  if (isMessages(messages)) return chat.render(messages, where);
  throw new CalibrationError({
    what: `neither a "text" that is a string nor "messages" that have a role each`,
    where,
    why: `the record has ${keyList(record)}`,
    next: 'write it as {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]}',
  });
}

export function isRecord(value: unknown): value is TextRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessages(value: unknown): value is readonly ChatMessage[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((message) => isRecord(message) && typeof message["role"] === "string")
  );
}

/** `the keys "a", "b"` of a record, as an error names them. */
export function keyList(record: TextRecord): string {
  const keys = Object.keys(record);
  if (keys.length === 0) return "no keys";
  const shown = keys.slice(0, 12).map((key) => quote(key.slice(0, 40)));
  return `${keys.length === 1 ? "the key" : "the keys"} ${shown.join(", ")}${keys.length > 12 ? ", ..." : ""}`;
}
