import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseExactJson } from "../../text/json/exact-json.js";
import { Template } from "./render-template.js";
import { TemplateError, UnsupportedConstruct } from "./template-error.js";
import { isDict, type Value } from "./values.js";

const text = readFileSync(new URL("../../testing/chat-templates/snippets.json", import.meta.url), "utf8");
const { cases } = JSON.parse(text) as { readonly cases: readonly (readonly [string, string | null])[] };
const root = parseExactJson(text);
const variables = isDict(root) ? root.get("variables") : undefined;
const given: readonly (readonly [string, Value])[] =
  variables !== undefined && isDict(variables) ? [...variables].map(([name, value]) => [String(name), value]) : [];

/** What is refused, though Python gives something: each by the name of its construct. */
const refused = [
  "as text",
  "filter 'wordcount'",
  "filter 'urlencode'",
  "filter 'batch'",
  "filter 'random'",
  "filter 'center'",
  "filter 'safe'",
  "filter 'e'",
  "attribute 'real'",
  "method format()",
  "function cycler()",
  "function joiner()",
  "function lipsum()",
  "function self()",
  "format %x",
  "a format with named",
  "as the key of a dictionary",
  "test 'sameas'",
  "block {% block %}",
];

function outcome(template: string): string | TemplateError {
  try {
    return new Template(template).render(given);
  } catch (error) {
    if (error instanceof TemplateError) return error;
    throw error;
  }
}

describe("Template", () => {
  it("has its variables", () => expect(given.map(([name]) => name)).toContain("messages"));

  it.each(cases)("gives what Python gives: %j", (template, expected) => {
    const result = outcome(template);
    if (result instanceof UnsupportedConstruct && expected !== null) {
      expect(refused.some((name) => result.message.includes(name))).toBe(true);
    } else if (expected === null) expect(result).toBeInstanceOf(TemplateError);
    else expect(result).toBe(expected);
  });

  it("refuses few of them", () => {
    const unsupported = cases.filter(([template]) => outcome(template) instanceof UnsupportedConstruct);
    expect(unsupported.length).toBeLessThan(40);
    expect(cases.length).toBeGreaterThan(700);
  });
});
