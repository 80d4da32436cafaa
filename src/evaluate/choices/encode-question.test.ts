import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { CalibrationError } from "../../errors.js";
import type { ChoiceQuestion } from "./choice-questions.js";
import { type EncodedQuestion, encodeQuestion, questionTexts } from "./encode-question.js";

const bundled = await Tokenizer.open(`${import.meta.dirname}/../../../models/sotu-llama-7m`);

const question = (context: string, ...choices: readonly string[]): ChoiceQuestion => ({
  context,
  choices,
  answer: 0,
  source: "file:3",
});

function encode(asked: ChoiceQuestion, tokens: { startToken: number | null; eosTokens: number[] }): EncodedQuestion {
  const { context, wholes } = questionTexts(asked, " ");
  const ids = { context: bundled.encode(context), wholes: wholes.map((text) => bundled.encode(text)) };
  return encodeQuestion(asked, ids, tokens);
}

describe("questionTexts", () => {
  it.each([
    ["The Congress", "of", "The Congress", "The Congress of"],
    ["The Congress", " of", "The Congress", "The Congress of"],
    ["The Congress ", "of", "The Congress", "The Congress of"],
    ["The Congress \n", " of", "The Congress", "The Congress \n of"],
    ["", "of", "", "of"],
    ["  ", "of", "", "  of"],
  ])("of %j and %j", (context, choice, trimmed, whole) => {
    expect(questionTexts(question(context, choice), " ")).toEqual({ context: trimmed, wholes: [whole] });
  });

  it("puts any delimiter between, or none", () => {
    expect(questionTexts(question("答：", "是", " 否"), "").wholes).toEqual(["答：是", "答： 否"]);
    expect(questionTexts(question("a", "b"), "\n").wholes).toEqual(["a\nb"]);
  });
});

describe("encodeQuestion", () => {
  it("takes a context of more tokens than a call has room for arguments", () => {
    const context = new Int32Array(300_000).fill(7);
    const ids = { context, wholes: [Int32Array.from([...context, 8])] };
    const encoded = encodeQuestion(question("long", "x"), ids, { startToken: 1, eosTokens: [] });
    expect(encoded.context).toHaveLength(300_001);
    expect(encoded.context[0]).toBe(1);
  });

  const withStart = { startToken: 0, eosTokens: [0] };

  it("gives the choice the space before it: the tokens are those of the joined text", () => {
    for (const asked of [
      question("The Congress of the", "United States", "Union"),
      question("The Congress of the ", "United States", "Union"),
      question("The Congress of the", " United States", " Union"),
    ]) {
      const { context, continuations } = encode(asked, withStart);
      expect([...context]).toEqual([0, ...bundled.encode("The Congress of the")]);
      expect(continuations.map((ids) => [...ids])).toEqual([
        [...bundled.encode(" United States")],
        [...bundled.encode(" Union")],
      ]);
      expect([...context.slice(1), ...(continuations[0] ?? [])]).toEqual([
        ...bundled.encode("The Congress of the United States"),
      ]);
    }
  });

  it("takes what the joined text has beyond the context's own tokens where they melt", () => {
    const asked = question("The Con", "gress of the Union");
    const { context, wholes } = questionTexts(asked, "");
    const ids = { context: bundled.encode(context), wholes: wholes.map((text) => bundled.encode(text)) };
    const { continuations } = encodeQuestion(asked, ids, withStart);
    const whole = bundled.encode("The Congress of the Union");
    expect([...(continuations[0] ?? [])]).toEqual([...whole.slice(bundled.encode("The Con").length)]);
  });

  it("counts bytes of the choices as they were given", () => {
    expect(encode(question("a ", "é", " of"), withStart).lengths).toEqual([2, 3]);
  });

  it("has one start token, where the model has one", () => {
    expect([...encode(question("<|endoftext|>The", "of"), withStart).context]).toEqual([0, ...bundled.encode("The")]);
    const none = { startToken: null, eosTokens: [5, 6] };
    expect([...encode(question("The", "of"), none).context]).toEqual([...bundled.encode("The")]);
  });

  it("lets choices without a context follow the start token, else the end of a text", () => {
    expect([...encode(question("", "of"), withStart).context]).toEqual([0]);
    expect([...encode(question(" ", "of"), { startToken: null, eosTokens: [5, 6] }).context]).toEqual([5]);
    const refused = () => encode(question("", "of"), { startToken: null, eosTokens: [] });
    expect(refused).toThrow(CalibrationError);
    expect(refused).toThrow(/file:3: the context is empty.*Next: give the question a context/);
  });

  it("refuses a choice that adds no token", () => {
    const ids = { context: Int32Array.of(1, 2), wholes: [Int32Array.of(1, 3)] };
    const refused = () => encodeQuestion(question("a", "b"), ids, withStart);
    expect(refused).toThrow(/file:3: choice 0 adds no token.*Next: begin the choice with a space/);
  });
});
