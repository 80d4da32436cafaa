import { CalibrationError } from "../../errors.js";
import { isMessages } from "../chat/conversation.js";
import { type Dict, isList } from "../chat/jinja/values.js";
import { keyList } from "./parse-record.js";

/**
 * A record whose text is in one named field: the same with that field under the name that its form has, `text` for a string,
 * `messages` or `conversations` for turns. Fields beside messages stay.
 *
 * @throws CalibrationError where the record has no such field, or one in another form
 */
export function textInColumn(record: Dict, column: string, where: string): Dict {
  const value = record.get(column);
  if (value === undefined) {
    throw new CalibrationError({
      where,
      what: `there is no column "${column}"`,
      why: `the record has ${keyList([...record.keys()].map(String))}`,
      next: "name the column that holds the text",
    });
  }
  if (value === null || typeof value === "string") return new Map([["text", value ?? ""]]);
  if (isMessages(value)) return new Map([...record, ["text", null], ["messages", value]]);
  if (isList(value)) return new Map([...record, ["text", null], ["messages", null], ["conversations", value]]);
  throw new CalibrationError({
    where,
    what: `the column "${column}" is neither text nor a list of messages`,
    next: "name a column of strings, or one of messages with a role each",
  });
}
