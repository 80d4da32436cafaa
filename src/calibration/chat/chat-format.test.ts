import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { parseExactJson } from "../text/json/exact-json.js";
import { ChatFormat, type ChatSource } from "./chat-format.js";
import type { Message } from "./conversation.js";
import { isDict, isList, type Value } from "./jinja/values.js";

const goldens = new URL("../testing/chat-templates/", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, goldens), "utf8");

interface Golden {
  readonly roleTokens: Readonly<Record<string, string>>;
  readonly texts: Readonly<Record<string, { readonly text?: string; readonly error?: string }>>;
}

const golden = JSON.parse(read("golden.json")) as Readonly<Record<string, Golden>>;
const conversations = parseExactJson(read("conversations.json"));
const families = readdirSync(new URL("templates/", goldens)).map((name) => name.replace(".jinja", ""));

function conversation(name: string): { messages: readonly Message[]; tools: Value } {
  const entry = isDict(conversations) ? conversations.get(name) : undefined;
  const messages = isDict(entry ?? null) ? (entry as ReadonlyMap<string, Value>).get("messages") : undefined;
  if (messages === undefined || !isList(messages)) throw new Error(`no conversation ${name}`);
  return { messages: messages.filter(isDict), tools: (entry as ReadonlyMap<string, Value>).get("tools") ?? null };
}

function source(chatTemplate: string, roleTokens: Readonly<Record<string, string>> = {}): ChatSource {
  return { chatTemplate, toolTemplate: null, roleTokens: new Map(Object.entries(roleTokens)) };
}

describe("ChatFormat", () => {
  it("knows the texts of all templates", () => {
    expect(families.sort()).toEqual(Object.keys(golden).sort());
    expect(families).toHaveLength(11);
  });

  describe.each(families)("writes what transformers writes: %s", (family) => {
    const { roleTokens, texts } = golden[family] ?? { roleTokens: {}, texts: {} };
    const format = new ChatFormat(source(read(`templates/${family}.jinja`), roleTokens));
    it.each(Object.entries(texts))("%s", (name, { text, error }) => {
      const { messages, tools } = conversation(name);
      if (text !== undefined) expect(format.render(messages, tools, "x")).toBe(text);
      else {
        const refused = (): string => format.render(messages, tools, "x");
        expect(refused).toThrow(CalibrationError);
        // The reason that a template gives stands in the message.
        if (error?.startsWith("TemplateError: ")) expect(refused).toThrow(error.slice("TemplateError: ".length));
      }
    });
  });

  const messages = (...contents: readonly Value[]): Message[] =>
    contents.map(
      (content, i) =>
        new Map<string, Value>([
          ["role", i % 2 === 0 ? "user" : "assistant"],
          ["content", content],
        ]),
    );
  const render = (template: string, conversation: readonly Message[], tools: Value = null): string =>
    new ChatFormat(source(template)).render(conversation, tools, "chat.jsonl:3");

  it("keeps what an iteration wrote before it leaves the loop", () => {
    const breaks = "{% for m in messages %}{{ m.content }};{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}.";
    expect(render(breaks, messages("a", "b", "c"))).toBe("a;b;.");
    const continues = "{% for m in messages %}{{ m.content }}{% if loop.first %}{% continue %}{% endif %};{% endfor %}";
    expect(render(continues, messages("a", "b"))).toBe("ab;");
    expect(render("{% for m in messages %}{{ m.content }}{% break %}{% endfor %}", messages("a", "b"))).toBe("a");
  });

  it("has no tools and no documents: both are none, and defined", () => {
    const asks =
      "{% if tools is not none or documents is not none %}{{ tools | tojson }}{% endif %}{{ tools is defined }}";
    expect(render(asks, messages("a"))).toBe("True");
  });

  it("takes the template for tools where the record has some", () => {
    const format = new ChatFormat({ chatTemplate: "plain", toolTemplate: "tools", roleTokens: new Map() });
    expect(format.render(messages("a"), null, "x")).toBe("plain");
    expect(format.render(messages("a"), [new Map([["name", "f"]])], "x")).toBe("tools");
  });

  const parts = [
    new Map([
      ["type", "text"],
      ["text", "one "],
    ]),
    new Map([
      ["type", "text"],
      ["text", "two"],
    ]),
  ];

  it.each([
    ["adds it to a string", "{% for m in messages %}{{ '<' + m.content + '>' }}{% endfor %}"],
    ["writes it as it is", "{% for m in messages %}<{{ m.content }}>{% endfor %}"],
    ["joins it with ~", "{% for m in messages %}{{ '<' ~ m.content ~ '>' }}{% endfor %}"],
    ["trims it", "{% for m in messages %}<{{ m.content | trim }}>{% endfor %}"],
    ["strips it", "{% for m in messages %}<{{ m.content.strip() }}>{% endfor %}"],
    [
      "leaves out what is no string",
      "{% for m in messages %}{% if m.content is string %}<{{ m.content }}>{% endif %}{% endfor %}",
    ],
  ])("joins the texts of content parts for a template that %s", (_name, template) => {
    expect(render(template, messages(parts, "yes"))).toBe("<one two><yes>");
  });

  it("leaves parts to a template that looks into them", () => {
    const loops = "{% for m in messages %}{% for part in m.content %}[{{ part.text }}]{% endfor %}{% endfor %}";
    expect(render(loops, messages(parts))).toBe("[one ][two]");
  });

  it("never writes a part that is no text", () => {
    const image = new Map([["type", "image"]]);
    expect(() => render("{{ messages[0].content }}", messages([...parts, image]))).toThrow(
      /type "image".*leave the part/,
    );
    const nameless = new Map([["type", "text"]]);
    expect(() => render("{{ messages[0].content }}", messages([nameless]))).toThrow(/plain text.*one string/);
  });

  it("names the construct that it does not compute, in the template or when a conversation gets there", () => {
    expect(() => new ChatFormat(source("{% include 'other' %}"))).toThrow(/not computed here.*include.*"text"/);
    const template = "{% if messages|length > 1 %}{{ messages | groupby('role') }}{% endif %}fine";
    expect(render(template, messages("a"))).toBe("fine");
    expect(() => render(template, messages("a", "b"))).toThrow(/chat\.jsonl:3.*groupby.*apply_chat_template/);
  });

  it("ends where a template never would", () => {
    expect(() => render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", messages("a"))).toThrow(CalibrationError);
    expect(() => render("{{ 'x' * 9000000000 }}", messages("a"))).toThrow(CalibrationError);
    expect(() => new ChatFormat(source("(".repeat(100_000)))).not.toThrow();
    expect(() => new ChatFormat(source(`{{ ${"(".repeat(100_000)} }}`))).toThrow(CalibrationError);
  });
});
