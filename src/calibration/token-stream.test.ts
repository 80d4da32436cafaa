import { describe, expect, it } from "vitest";
import { CalibrationError } from "../errors.js";
import { concatenateTokens } from "./token-stream.js";

const documents = [Int32Array.of(97, 98), Int32Array.of(), Int32Array.of(99)];

describe("concatenateTokens", () => {
  it("puts the start token before every document", () => {
    const { ids, documents: count } = concatenateTokens(documents, 1);
    expect([...ids]).toEqual([1, 97, 98, 1, 1, 99]);
    expect(count).toBe(3);
  });

  it("does not repeat a start token that the text has already", () => {
    expect([...concatenateTokens(documents, 97).ids]).toEqual([97, 98, 97, 97, 99]);
    expect([...concatenateTokens([Int32Array.of(0, 5)], 0).ids]).toEqual([0, 5]);
  });

  it("only concatenates where the model has no start token", () => {
    expect([...concatenateTokens(documents, null).ids]).toEqual([97, 98, 99]);
  });

  it("refuses no documents at all", () => {
    const empty = (): unknown => concatenateTokens([], null);
    expect(empty).toThrow(CalibrationError);
    expect(empty).toThrow("Next: give files that hold text");
  });
});
