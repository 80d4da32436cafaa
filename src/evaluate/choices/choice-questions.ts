import { readLines } from "../../calibration/text/bytes/read-lines.js";
import { decodeUtf8 } from "../../calibration/text/bytes/utf8.js";
import { keyList, parseRecord, type TextRecord } from "../../calibration/text/parse-record.js";
import { refuseGitLfsPointer } from "../../calibration/text/text-files.js";
import { clip, quote } from "../../checkpoint/json/json.js";
import { CalibrationError } from "../../errors.js";

/** A question with several answers to choose from. */
export interface ChoiceQuestion {
  readonly context: string;
  /** Two or more, none empty. */
  readonly choices: readonly string[];
  /** Which of them is right, counted from 0. */
  readonly answer: number;
  /** `file:line` */
  readonly source: string;
}

const contextNames = ["context", "question"] as const;
const answerNames = ["answer", "label", "gold"] as const;
const form = '{"context": "...", "choices": ["...", "..."], "answer": 0}';

/**
 * The questions of a JSONL file, one a line, empty lines skipped: `context` (or `question`) is a text, `choices` a list
 * of texts, and `answer` (or `label`, or `gold`) the place of the right one, counted from 0, or its letter, `"A"` for
 * the first. Other fields are left alone.
 *
 * @param limit reads this many questions and no more
 * @throws CalibrationError that names the line that can't be used; and for a file without questions.
 */
export async function readChoiceQuestions(
  path: string,
  limit: number = Number.POSITIVE_INFINITY,
): Promise<ChoiceQuestion[]> {
  const questions: ChoiceQuestion[] = [];
  refuseGitLfsPointer(path);
  for await (const { number, bytes } of readLines(path)) {
    const source = `${path}:${number}`;
    const line = decodeUtf8(bytes, source);
    if (line.trim() === "") continue;
    questions.push(questionOf(parseRecord(line, source, `write one question a line: ${form}`), source));
    if (questions.length >= limit) break;
  }
  if (questions.length === 0) {
    throw new CalibrationError({
      what: "there is no question in this file",
      where: path,
      next: `write one a line: ${form}`,
    });
  }
  return questions;
}

function questionOf(record: TextRecord, where: string): ChoiceQuestion {
  const fail = (what: string, next = `write ${form}`): never => {
    throw new CalibrationError({ what, where, why: `the line has ${keyList(Object.keys(record))}`, next });
  };
  const field = (names: readonly string[]): readonly [name: string, value: unknown] => {
    const present = names.filter((name) => record[name] !== undefined && record[name] !== null);
    const [name = ""] = present;
    if (present.length === 1) return [name, record[name]];
    const list = (some: readonly string[], word: string): string => some.map((n) => `"${n}"`).join(` ${word} `);
    return present.length === 0
      ? fail(`there is no ${list(names, "or")}`)
      : fail(`${list(present, "and")} mean the same`, "leave one of them");
  };
  const [contextName, context] = field(contextNames);
  if (typeof context !== "string") return fail(`"${contextName}" is no text`);
  const { choices } = record;
  if (!Array.isArray(choices) || !choices.every((choice): choice is string => typeof choice === "string")) {
    return fail('"choices" is no list of texts');
  }
  if (choices.length < 2) {
    return fail(
      choices.length === 0 ? '"choices" is empty' : '"choices" has one text only: it is always right',
      "give two or more, or leave the question out",
    );
  }
  const empty = choices.indexOf("");
  if (empty >= 0) return fail(`choice ${empty} is empty: there is nothing to score`, "fill it, or leave it out");
  const [answerName, value] = field(answerNames);
  const answer = placeOf(value);
  if (answer === null) {
    return fail(
      `"${answerName}" is ${shown(value)}, neither a whole number nor a letter from "A" to "Z"`,
      "count the choices from 0 and write the right one's number, without quotes",
    );
  }
  if (answer < 0 || answer >= choices.length) {
    return fail(
      `"${answerName}" is ${shown(value)}, which is none of the ${choices.length} choices`,
      `count them from 0: the last is ${choices.length - 1}`,
    );
  }
  return { context, choices, answer, source: where };
}

// A text of digits stays refused: some data sets count such answers from 0, others from 1.
function placeOf(value: unknown): number | null {
  if (Number.isSafeInteger(value)) return Number(value);
  return typeof value === "string" && /^[A-Z]$/.test(value) ? value.charCodeAt(0) - "A".charCodeAt(0) : null;
}

function shown(value: unknown): string {
  return typeof value === "string" ? quote(value) : clip(JSON.stringify(value) ?? "nothing");
}
