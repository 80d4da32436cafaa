import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { parseExactJson } from "../text/json/exact-json.js";
import { answerSpans } from "./answer-spans.js";
import { ChatFormat } from "./chat-format.js";
import type { Message } from "./conversation.js";

const goldens = new URL("../testing/chat-templates/", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, goldens), "utf8");
const families = readdirSync(new URL("templates/", goldens)).map((name) => name.replace(".jinja", ""));
const golden = JSON.parse(read("golden.json")) as Readonly<Record<string, { roleTokens: Record<string, string> }>>;

const conversation = parseExactJson(
  JSON.stringify([
    { role: "user", content: "How much is ALPHA?" },
    { role: "assistant", content: "It is BETA." },
    { role: "user", content: "And GAMMA?" },
    { role: "assistant", content: "That is DELTA." },
  ]),
) as unknown as readonly Message[];

function spansOf(format: ChatFormat, messages: readonly Message[]): { text: string; answers: string[] } {
  const text = format.render(messages, null, "x");
  const spans = answerSpans(text, messages, (some, asking) => format.render(some, null, "x", asking));
  return { text, answers: spans.map(([from, to]) => text.slice(from, to)) };
}

describe("answers in the text of a conversation", () => {
  it.each(families)("are what follows a question, with what ends them: %s", (family) => {
    const roleTokens = new Map(Object.entries(golden[family]?.roleTokens ?? {}));
    const format = new ChatFormat({ chatTemplate: read(`templates/${family}.jinja`), toolTemplate: null, roleTokens });
    const { text, answers } = spansOf(format, conversation);
    expect(answers.length).toBe(2);
    expect(answers[0]).toContain("It is BETA.");
    expect(answers[1]).toContain("That is DELTA.");
    for (const answer of answers) {
      expect(answer).not.toMatch(/ALPHA|GAMMA/);
      expect(answer.length).toBeLessThan(text.length / 2);
    }
  });

  it("are looked for where a template writes earlier turns otherwise", () => {
    // The last turn alone has marks around it.
    const chatTemplate =
      "{% for m in messages %}{{ m.role }}: {% if loop.last %}[{{ m.content }}]{% else %}{{ m.content }}{% endif %}\n{% endfor %}";
    const format = new ChatFormat({ chatTemplate, toolTemplate: null, roleTokens: new Map() });
    expect(spansOf(format, conversation).answers).toEqual(["It is BETA.", "That is DELTA."]);
  });

  it("are none where nobody answers, and pass on errors that are no template's", () => {
    const asked = conversation.slice(0, 1);
    expect(answerSpans("text", asked, () => "text")).toEqual([]);
    const refusing = (): string => {
      throw new CalibrationError({ what: "refused", next: "x" });
    };
    expect(answerSpans("a It is BETA. b", conversation.slice(0, 2), refusing)).toEqual([[2, 13]]);
    const failing = (): string => {
      throw new RangeError("ours");
    };
    expect(() => answerSpans("text", conversation, failing)).toThrow("ours");
  });
});
