import { expect, it } from "vitest";
import { OptionError } from "../../errors.js";
import { resolveOptions } from "../../run/options/options.js";
import { required } from "../../run/options/testing/refusal.js";
import { flagTerms, inFlagTerms } from "./flag-terms.js";

function refused(options: object, flags: object): OptionError {
  try {
    inFlagTerms({ ...flags }, () => resolveOptions(required, { ...options }));
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
  throw new Error("the options were accepted");
}

it("names an option as the flag by which it was given, without its place in a list", () => {
  const format = { format: ["onnx", "ggfu"] };
  expect(refused(format, format)).toMatchObject({
    where: "--format",
    what: expect.stringMatching(/^"ggfu" is none of .*gguf.*onnx/),
    next: 'did you mean "gguf"?',
  });
  expect(refused({ format: "ggfu" }, { format: "ggfu" }).next).toBe('did you mean "gguf"?');
  const embedding = { ggufEmbedding: "q9_0" };
  expect(refused(embedding, embedding).where).toBe("--gguf-embedding");
});

it("leaves what was not given as a flag, and what is no refused option", () => {
  expect(refused({ format: ["ggfu"] }, {}).where).toBe('option "format"');
  expect(() =>
    inFlagTerms({ format: ["a"] }, () => {
      throw new Error("other");
    }),
  ).toThrow("other");
  expect(inFlagTerms({}, () => 7)).toBe(7);
});

it("names what the plan refuses as a flag too", () => {
  const refusal = new OptionError({ where: 'option "bitsBudget"', what: "too few", next: "give more" });
  expect(flagTerms({ bitsBudget: 2 }, refusal)).toMatchObject({
    where: "--bits-budget",
    what: "too few",
    next: "give more",
  });
  expect(flagTerms({}, refusal)).toBe(refusal);
});
