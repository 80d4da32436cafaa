import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { ChatFormat } from "../chat/chat-format.js";
import { parseDict } from "./parse-record.js";
import { documentOfRecord, textOfRecord } from "./record-text.js";

const chat = new ChatFormat({
  chatTemplate:
    "{% for t in tools or [] %}({{ t.name }}){% endfor %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
  toolTemplate: null,
  roleTokens: new Map(),
});

const text = (record: unknown, format = chat): string | null =>
  textOfRecord(parseDict(typeof record === "string" ? record : JSON.stringify(record), "d:1", "n"), format, "d:1");

function failure(record: unknown, format = chat): CalibrationError {
  try {
    text(record, format);
  } catch (error) {
    if (error instanceof CalibrationError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const messages = [{ role: "user", content: "Hi" }];

describe("textOfRecord", () => {
  it.each([
    [{ text: "", messages }],
    [{ text: null, messages }],
    [{ text: " \n", messages }],
    [{ messages, text: null, conversations: [] }],
    [{ text: "", messages: null, conversations: [{ from: "human", value: "Hi" }] }],
    [{ messages: [], prompt: null, instruction: "Hi", output: null, conversations: messages }],
  ])("goes past empty fields to one that says something: %j", (record) => {
    expect(text(record)).toBe("<user>Hi");
  });

  it.each([
    [{ text: null }],
    [{ text: "" }],
    [{ messages: [] }],
    [{ text: null, messages: null, conversations: "" }],
    [{ prompt: "", response: null }],
    [{ instruction: null, input: "beside", output: "" }],
  ])("has no text where all fields are null or empty: %j", (record) => {
    expect(text(record)).toBeNull();
  });

  it("takes conversations in the form of ShareGPT", () => {
    const turns = [
      { from: "system", value: "S" },
      { from: "human", value: "Q" },
      { from: "gpt", value: "A" },
      { from: "observation", value: "O" },
    ];
    expect(text({ conversations: turns })).toBe("<system>S<user>Q<assistant>A<tool>O");
    expect(text({ conversations: turns.slice(1, 3), system: "Y" })).toBe("<system>Y<user>Q<assistant>A");
    expect(failure({ conversations: [{ from: "narrator", value: "x" }] })).toMatchObject({
      where: "d:1",
      what: 'turn 1 is from "narrator"',
      why: expect.stringContaining("human"),
    });
    expect(failure({ conversations: [{ from: "gpt" }] }).what).toContain('turn 1 has no "from" and "value"');
  });

  it("takes prompts with completions, responses and outputs", () => {
    expect(text({ prompt: "The sky is", completion: " blue." })).toBe("The sky is blue.");
    expect(text({ prompt: messages, completion: [{ role: "assistant", content: "A" }] })).toBe("<user>Hi<assistant>A");
    expect(text({ prompt: "Q", response: "A" })).toBe("<user>Q<assistant>A");
    expect(text({ instruction: "Add", input: "1 2", output: "3" })).toBe("<user>Add\n1 2<assistant>3");
    expect(text({ instruction: "Say", input: "", output: "So", system: "Y" })).toBe("<system>Y<user>Say<assistant>So");
    expect(failure({ instruction: "Add", output: null }).what).toBe(
      "a prompt without an answer, or the other way round",
    );
    expect(failure({ instruction: "Q", output: "A" }, new ChatFormat(null))).toMatchObject({
      what: expect.stringContaining("no chat template"),
      next: expect.stringContaining('"text"'),
    });
  });

  it("passes tools on, as a list or as its JSON", () => {
    expect(text({ messages, tools: [{ name: "f" }] })).toBe("(f)<user>Hi");
    expect(text({ messages, tools: '[{"name": "f"}]' })).toBe("(f)<user>Hi");
    expect(text({ messages, tools: [] })).toBe("<user>Hi");
    expect(failure({ messages, tools: "f" }).what).toBe('"tools" that are no valid JSON');
    expect(failure({ messages, tools: ["f"] }).what).toBe('"tools" that are no list of objects');
  });

  it("says what a field is that can't be used", () => {
    expect(failure({ text: 7 })).toMatchObject({ what: 'a "text" that is no string but a int', where: "d:1" });
    expect(failure({ messages: [{ content: "x" }] }).what).toContain('"messages" that are no list');
    expect(failure({ question: "x" })).toMatchObject({ why: 'the record has the key "question"' });
  });

  it("writes numbers as Python reads them, NaN beside the text included", () => {
    const line =
      '{"score": NaN, "messages": [{"role": "user", "content": "Hi", "n": [1.0, 12345678901234567890, -0.0]}]}';
    const format = new ChatFormat({ chatTemplate: "{{ messages[0].n }}", toolTemplate: null, roleTokens: new Map() });
    expect(text(line, format)).toBe("[1.0, 12345678901234567890, -0.0]");
    expect(text('{"text": "a", "loss": Infinity, "w": -Infinity}')).toBe("a");
    expect(
      text(
        '{"messages":[{"role":"u","content":"c","x":{"b":1,"1":2}}]}',
        new ChatFormat({ chatTemplate: "{{ messages[0].x | tojson }}", toolTemplate: null, roleTokens: new Map() }),
      ),
    ).toBe('{"b": 1, "1": 2}');
  });
});

describe("documentOfRecord", () => {
  const answered = [...messages, { role: "assistant", content: "Hello" }];
  const parts = (record: unknown, answers = true): unknown => {
    const document = documentOfRecord(parseDict(JSON.stringify(record), "d:1", "n"), chat, "d:1", { answers });
    return document.answers?.map(([from, to]) => document.text.slice(from, to));
  };

  it.each([
    [{ messages: answered }, ["<assistant>Hello"]],
    [{ messages }, []],
    [{ prompt: "2 + 2 = ", completion: "4" }, ["4"]],
    [{ prompt: messages, completion: "Hello" }, ["<assistant>Hello"]],
    [{ instruction: "Greet", output: "Hello" }, ["<assistant>Hello"]],
    [{ system: "Be short.", prompt: "Greet", response: "Hello" }, ["<assistant>Hello"]],
    [{ text: "plain" }, undefined],
    [{ text: null }, undefined],
  ])("says where the answers are, where it is asked to: %j", (record, answers) => {
    expect(parts(record)).toEqual(answers);
    expect(parts(record, false)).toBeUndefined();
  });
});
