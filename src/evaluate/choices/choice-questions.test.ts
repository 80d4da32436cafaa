import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { readChoiceQuestions } from "./choice-questions.js";

const folder = mkdtempSync(join(tmpdir(), "crossblock-questions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(content: string | Uint8Array): string {
  const path = join(folder, "questions.jsonl");
  writeFileSync(path, content);
  return path;
}

const good = '{"context":"a","choices":["b","c"],"answer":1}';

async function failure(content: string | Uint8Array): Promise<CalibrationError> {
  const error: unknown = await readChoiceQuestions(write(content)).catch((thrown: unknown) => thrown);
  if (!(error instanceof CalibrationError)) throw new Error(`no CalibrationError but ${String(error)}`);
  expect(error.next.length).toBeGreaterThan(10);
  return error;
}

describe("readChoiceQuestions", () => {
  it("reads a question a line, skips empty lines, leaves other fields alone", async () => {
    const path = write(`${good}\n\r\n{"id":7,"context":"","choices":["é","f","g"],"answer":0}`);
    expect(await readChoiceQuestions(path)).toEqual([
      { context: "a", choices: ["b", "c"], answer: 1, source: `${path}:1` },
      { context: "", choices: ["é", "f", "g"], answer: 0, source: `${path}:3` },
    ]);
  });

  it.each([
    ['"question":"a"', '"label":1'],
    ['"context":"a","question":null', '"gold":1'],
    ['"context":"a"', '"answer":"B"'],
  ])("knows the names and letters of %s, %s", async (context, answer) => {
    const [question] = await readChoiceQuestions(write(`{${context},"choices":["b","c"],${answer}}`));
    expect(question).toMatchObject({ context: "a", choices: ["b", "c"], answer: 1 });
  });

  it("stops at the limit, and does not read what follows", async () => {
    expect(await readChoiceQuestions(write(`${good}\n${good}\nbroken`), 2)).toHaveLength(2);
  });

  it.each([
    ["what is no JSON", "{", /not valid JSON/],
    ["what is no object", "[1]", /no JSON object/],
    ["no context", '{"prompt":"a","choices":["b","c"],"answer":0}', /no "context" or "question".*"prompt"/],
    ["two contexts", '{"context":"a","question":"a","choices":["b","c"],"answer":0}', /mean the same/],
    ["a context that is no text", '{"context":1,"choices":["b","c"],"answer":0}', /"context" is no text/],
    ["no choices", '{"context":"a","answer":0}', /"choices" is no list of texts/],
    ["choices that are no texts", '{"context":"a","choices":["b",2],"answer":0}', /"choices" is no list of texts/],
    ["an empty list", '{"context":"a","choices":[],"answer":0}', /"choices" is empty/],
    ["one choice", '{"context":"a","choices":["b"],"answer":0}', /one text only/],
    ["an empty choice", '{"context":"a","choices":["b",""],"answer":0}', /choice 1 is empty/],
    ["no answer", '{"context":"a","choices":["b","c"]}', /no "answer" or "label" or "gold"/],
    ["two answers", '{"context":"a","choices":["b","c"],"answer":0,"label":0}', /"answer" and "label"/],
    [
      "an answer beyond the choices",
      '{"context":"a","choices":["b","c"],"answer":2}',
      /none of the 2 choices.*last is 1/,
    ],
    ["a negative answer", '{"context":"a","choices":["b","c"],"answer":-1}', /none of the 2 choices/],
    ["a letter beyond the choices", '{"context":"a","choices":["b","c"],"answer":"C"}', /"C".*none of the 2/],
    ["digits as text", '{"context":"a","choices":["b","c"],"answer":"1"}', /count the choices from 0/],
    ["half a choice", '{"context":"a","choices":["b","c"],"answer":0.5}', /neither a whole number/],
    ["a small letter", '{"context":"a","choices":["b","c"],"answer":"a"}', /neither a whole number/],
  ])("refuses %s, by line", async (_name, line, message) => {
    const error = await failure(`${good}\n${line}\n`);
    expect(error.where).toMatch(/questions\.jsonl:2$/);
    expect(error.message).toMatch(message);
  });

  it("refuses a file without questions, one that is not there, and what is not UTF-8", async () => {
    expect((await failure(" \n\n")).message).toMatch(/no question in this file.*"context"/);
    await expect(readChoiceQuestions(join(folder, "none.jsonl"))).rejects.toThrow(/none\.jsonl: there is no such file/);
    expect((await failure(Buffer.from([...Buffer.from(`${good}\n`), 0xff]))).where).toMatch(/:2$/);
  });

  it("shows nothing of a line that a terminal would obey", async () => {
    const error = await failure('{"context":"a","choices":["b","c"],"answer":"\\u001b[31m\\u0085","\u0085":1}');
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });
});
