import { CalibrationError } from "../../errors.js";
import { answerSpans, type Span } from "../chat/answer-spans.js";
import type { ChatFormat } from "../chat/chat-format.js";
import { isMessages, type Message } from "../chat/conversation.js";
import { type Dict, isDict, isList, typeName, type Value } from "../chat/jinja/values.js";
import { messagesOfTurns } from "../chat/share-gpt.js";
import type { Document } from "./document.js";
import { parseExactJson } from "./json/exact-json.js";
import { keyList } from "./parse-record.js";
import type { ReadingOptions } from "./reading-options.js";
import { textInColumn } from "./record-column.js";

/** The fields that a record's text can come from, in the order in which they are looked at. */
export const textFields = [
  "text",
  "messages",
  "conversations",
  "prompt",
  "completion",
  "response",
  "instruction",
  "output",
] as const;

/** Fields that say more about those. */
export const besideText = ["input", "system", "tools"] as const;

/**
 * The text of a record: its field `text`; else its `messages`, or its `conversations` in the form of ShareGPT, through the
 * chat template; else `prompt` and `completion` one after the other; else `prompt` and `response`, or `instruction`,
 * `input` and `output`, as a conversation of two turns.
 *
 * @param where the file and line, for the error
 * @param column the field that holds it, where it is named
 * @returns null where all of these fields are null or empty
 * @throws CalibrationError when the record has none of them, or one in another form.
 */
export function textOfRecord(given: Dict, chat: ChatFormat, where: string, column?: string): string | null {
  return writtenOf(given, chat, where, column)?.text ?? null;
}

/** The same as a document, with its answers where the options ask for them; its text is empty where the record has none. */
export function documentOfRecord(
  given: Dict,
  chat: ChatFormat,
  source: string,
  { column, answers = false }: Pick<ReadingOptions, "column" | "answers">,
): Document {
  const written = writtenOf(given, chat, source, column);
  if (written === null) return { text: "", source };
  const { text, spans } = written;
  return { text, source, ...(answers && spans !== undefined && { answers: spans() }) };
}

/** A record's text, and where that is a conversation its answers. */
interface Written {
  readonly text: string;
  readonly spans?: () => readonly Span[];
}

function writtenOf(given: Dict, chat: ChatFormat, where: string, column?: string): Written | null {
  const record = column === undefined ? given : textInColumn(given, column, where);
  if (!textFields.some((name) => record.has(name))) {
    throw wrongForm(record, `neither a "text" that is a string nor "messages" that have a role each`, where);
  }
  const text = field(record, "text", where);
  if (text !== null) return { text };
  const messages = messagesOf(record, where) ?? turnsOf(record, where);
  if (messages !== null) return conversation(chat, messages, toolsOf(record, where), where);
  return ofPair(record, chat, where);
}

function messagesOf(record: Dict, where: string): readonly Message[] | null {
  const value = filled(record.get("messages"));
  if (value === null || isMessages(value)) return value;
  throw wrongForm(record, '"messages" that are no list of messages with a role each', where);
}

function turnsOf(record: Dict, where: string): readonly Message[] | null {
  const value = filled(record.get("conversations"));
  if (value === null) return null;
  const messages = isMessages(value) ? value : isList(value) ? messagesOfTurns(value, where) : null;
  if (messages === null) throw wrongForm(record, '"conversations" that are no list of turns', where);
  const system = field(record, "system", where);
  const hasSystem = messages[0]?.get("role") === "system";
  return system === null || hasSystem ? messages : [message("system", system), ...messages];
}

function conversation(chat: ChatFormat, messages: readonly Message[], tools: Value, where: string): Written {
  const text = chat.render(messages, tools, where);
  const render = (some: readonly Message[], asking: boolean): string => chat.render(some, tools, where, asking);
  return { text, spans: () => answerSpans(text, messages, render) };
}

function ofPair(record: Dict, chat: ChatFormat, where: string): Written | null {
  const prompt = filled(record.get("prompt"));
  const completion = filled(record.get("completion"));
  if (isMessages(prompt ?? undefined) || isMessages(completion ?? undefined)) {
    const both = [...asMessages(record, prompt, "user", where), ...asMessages(record, completion, "assistant", where)];
    return conversation(chat, both, toolsOf(record, where), where);
  }
  const completed = field(record, "completion", where);
  if (completed !== null) {
    const before = field(record, "prompt", where) ?? "";
    const text = `${before}${completed}`;
    return { text, spans: () => [[before.length, text.length]] };
  }
  const instruction = field(record, "instruction", where);
  const input = field(record, "input", where);
  const asked = instruction === null ? field(record, "prompt", where) : join(instruction, input);
  const answer = field(record, instruction === null ? "response" : "output", where);
  if (asked === null && answer === null) return null;
  if (asked === null || answer === null)
    throw wrongForm(record, "a prompt without an answer, or the other way round", where);
  if (!chat.hasTemplate) {
    throw new CalibrationError({
      what: "this is a prompt with its answer, and the model has no chat template",
      where,
      next: 'write both into one field "text" in the form that the model was trained with',
    });
  }
  const system = field(record, "system", where);
  const messages = [message("user", asked), message("assistant", answer)];
  return conversation(chat, system === null ? messages : [message("system", system), ...messages], null, where);
}

function asMessages(record: Dict, value: Value, role: string, where: string): readonly Message[] {
  if (value === null) return [];
  if (isMessages(value)) return value;
  if (typeof value === "string") return [message(role, value)];
  throw wrongForm(record, `a prompt or completion that is neither a string nor messages`, where);
}

function message(role: string, content: string): Message {
  return new Map([
    ["role", role],
    ["content", content],
  ]);
}

function join(instruction: string, input: string | null): string {
  return input === null ? instruction : `${instruction}\n${input}`;
}

/** A field that holds text; null where it is absent, null or nothing but white space. */
function field(record: Dict, name: string, where: string): string | null {
  const value = filled(record.get(name));
  if (value === null || typeof value === "string") return value;
  throw wrongForm(record, `a "${name}" that is no string but a ${typeName(value)}`, where);
}

/** A value that says something; null for all others. */
function filled(value: Value | undefined): Value {
  if (value === undefined || (typeof value === "string" && value.trim() === "")) return null;
  return isList(value) && value.length === 0 ? null : value;
}

/** What the model may call: a list of objects, or the JSON of one. */
function toolsOf(record: Dict, where: string): Value {
  let tools = filled(record.get("tools"));
  if (typeof tools === "string") {
    try {
      tools = filled(parseExactJson(tools));
    } catch (cause) {
      throw wrongForm(record, '"tools" that are no valid JSON', where, cause);
    }
  }
  if (tools === null || (isList(tools) && tools.every(isDict))) return tools;
  throw wrongForm(record, '"tools" that are no list of objects', where);
}

function wrongForm(record: Dict, what: string, where: string, cause?: unknown): CalibrationError {
  return new CalibrationError({
    what,
    where,
    why: `the record has ${keyList([...record.keys()].map(String))}`,
    next: 'write it as {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]}',
    cause,
  });
}
