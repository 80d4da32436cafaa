import { quote } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";
import type { Message } from "./conversation.js";
import { isDict, type Value } from "./jinja/values.js";

const roles: ReadonlyMap<string, string> = new Map([
  ["system", "system"],
  ["human", "user"],
  ["user", "user"],
  ["gpt", "assistant"],
  ["assistant", "assistant"],
  ["chatgpt", "assistant"],
  ["model", "assistant"],
  ["tool", "tool"],
  ["observation", "tool"],
  ["function_response", "tool"],
]);

/**
 * Turns in the form of ShareGPT, `{"from": "human", "value": "..."}`, as messages.
 *
 * @param where the file and line, for the error
 * @throws CalibrationError for a turn in another form, and for a speaker who is no role of a chat.
 */
export function messagesOfTurns(turns: readonly Value[], where: string): Message[] {
  return turns.map((turn, i) => {
    const from = isDict(turn) ? turn.get("from") : undefined;
    const role = typeof from === "string" ? roles.get(from.toLowerCase()) : undefined;
    const value = isDict(turn) ? turn.get("value") : undefined;
    if (role !== undefined && typeof value === "string") {
      return new Map([
        ["role", role],
        ["content", value],
      ]);
    }
    const isUnknown = typeof from === "string" && role === undefined;
    throw new CalibrationError({
      what: isUnknown
        ? `turn ${i + 1} is from ${quote(from)}`
        : `turn ${i + 1} has no "from" and "value" that are strings`,
      where,
      why: isUnknown
        ? `known are ${[...roles.keys()].join(", ")}`
        : "a conversation of this form is a list of such turns",
      next: 'write it as {"messages": [{"role": "user", "content": "..."}]}, or leave the line out',
    });
  });
}
