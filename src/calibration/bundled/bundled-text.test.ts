import { describe, expect, it } from "vitest";
import type { Document } from "../text/document.js";
import { BUNDLED_TOKENS, bundledDocuments } from "./bundled-text.js";

async function read(characters: number, seed = 0, template: string | null = null): Promise<Document[]> {
  const chat = { chatTemplate: template, toolTemplate: null, roleTokens: new Map<string, string>() };
  const documents: Document[] = [];
  for await (const each of bundledDocuments(template === null ? null : chat, { characters, seed }))
    documents.push(each);
  return documents;
}

const turns = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
const sum = (documents: readonly Document[]): number => documents.reduce((all, { text }) => all + text.length, 0);

describe("the text that comes with the package", () => {
  it("is enough for 128 sequences of 2,048 tokens, and holds every sort of text", async () => {
    const all = await read(Number.POSITIVE_INFINITY);
    expect(sum(all)).toBeGreaterThan(128 * 2048 * 4.7);
    expect(sum(all)).toBeGreaterThan(BUNDLED_TOKENS * 5);
    const joined = all.map(({ text }) => text).join("\n");
    for (const part of [
      "Mr. Darcy",
      "Pequod",
      "Rosalind",
      "Prism",
      "fellow citizens",
      "#include",
      "fn main",
      "SELECT",
    ]) {
      expect(joined.toLowerCase()).toContain(part === "fn main" ? "fn tokens" : part.toLowerCase());
    }
    expect(all.every(({ text }) => text.trim() !== "" && text.length < 16_000)).toBe(true);
  });

  it("is of many sorts however little is wanted, and the seed decides which comes first", async () => {
    const little = await read(60_000);
    expect(sum(little)).toBeGreaterThanOrEqual(60_000);
    expect(sum(little)).toBeLessThan(60_000 + 16_000);
    // A conversation, code and a list of data are in it beside a novel and a speech.
    const text = little.map((document) => document.text).join("\n");
    expect(text).toMatch(/^User: /m);
    expect(text).toMatch(/[{};]$/m);
    expect((await read(60_000)).map(({ source }) => source)).toEqual(little.map(({ source }) => source));
    expect((await read(60_000, 1)).map(({ source }) => source)).not.toEqual(little.map(({ source }) => source));
    // More begins with less.
    expect((await read(120_000)).slice(0, little.length)).toEqual(little);
  });

  it("has its conversations in the model's template, and as plain text where that refuses them", async () => {
    const written = (await read(60_000, 0, turns)).filter(({ text }) => text.startsWith("<user>"));
    expect(written.length).toBeGreaterThan(0);
    expect(written[0]?.text).toMatch(/<assistant>/);
    const refused = await read(60_000, 0, "{{ raise_exception('no') }}");
    expect(refused).toEqual(await read(60_000));
  });
});
