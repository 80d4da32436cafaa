import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { type ChatMessage, ChatPrompts, type ChatTokens } from "./chat-prompt.js";

const template = [
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
].join("");

/** A tokenizer whose tokens are the characters of the text. */
function tokens(chatTemplate: string | null): ChatTokens {
  const added = ["<|im_start|>", "<|im_end|>", "<|im_end|>x", "<eot>"];
  return {
    chatTemplate,
    toolTemplate: null,
    roleTokens: new Map([["eos_token", "<eot>"]]),
    addedTokens: added.map((content, i) => ({ content, id: 1000 + i, special: true })),
    encode: (text) => Int32Array.from(text, (char) => char.charCodeAt(0)),
  };
}

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

describe("ChatPrompts", () => {
  it("writes a conversation as the template has it, and what an answer begins with behind it", () => {
    const prompts = new ChatPrompts(tokens(template), "model");
    const { ids, dropped } = prompts.prompt([{ role: "system", content: "S" }, user("Q")], 1000);
    expect(String.fromCharCode(...ids)).toBe(
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
    );
    expect([dropped, prompts.available]).toEqual([0, true]);
    expect(new ChatPrompts(tokens(null), "model").available).toBe(false);
  });

  it("knows the token that the template ends an answer with", () => {
    const ends = (source: string): readonly number[] => new ChatPrompts(tokens(source), "model").endTokens();
    expect(ends(template)).toEqual([1001]);
    expect(ends("{% for m in messages %}{{ m.content }} {{ eos_token }}{% endfor %}")).toEqual([1003]);
    expect(ends("{% for m in messages %}{{ m.content }}\n{% endfor %}")).toEqual([]);
    // The longer of two that fit.
    expect(ends("{% for m in messages %}{{ m.content }}<|im_end|>x{% endfor %}")).toEqual([1002]);
    expect(ends("{{ raise_exception('a system message first') }}")).toEqual([]);
  });

  it("leaves the oldest turns out where the context is full, up to a question, and keeps the system message", () => {
    const prompts = new ChatPrompts(tokens("{% for m in messages %}{{ m.content }}|{% endfor %}"), "model");
    const talk = [
      { role: "system", content: "S" } as const,
      user("aaaa"),
      assistant("bbbb"),
      assistant("cc"),
      user("dddd"),
      assistant("eeee"),
      user("ffff"),
    ];
    const left = (most: number): [string, number] => {
      const { ids, dropped } = prompts.prompt(talk, most);
      return [String.fromCharCode(...ids), dropped];
    };
    expect(left(30)).toEqual(["S|aaaa|bbbb|cc|dddd|eeee|ffff|", 0]);
    expect(left(29)).toEqual(["S|dddd|eeee|ffff|", 3]);
    expect(left(16)).toEqual(["S|ffff|", 5]);
    expect(() => left(6)).toThrow(CalibrationError);
    expect(() => left(6)).toThrow(/the message takes 7 tokens.*room for 6 .*Next: send a shorter message/);
  });
});
