import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import { generationParameters } from "./answer-options.js";

describe("generationParameters", () => {
  it("asks for the most likely token where nothing is given, and takes one stop text or several", () => {
    const sampling = { temperature: 0, seed: 0 };
    expect(generationParameters({})).toEqual({ tokens: null, stop: [], sampling });
    expect(generationParameters({ tokens: 3, stop: "a" })).toEqual({ tokens: 3, stop: ["a"], sampling });
    expect(generationParameters({ temperature: 1, topP: 0.9, topK: 4, seed: 7, stop: ["a", "b"] })).toEqual({
      tokens: null,
      stop: ["a", "b"],
      sampling: { temperature: 1, topP: 0.9, topK: 4, seed: 7 },
    });
  });

  it.each([
    [{ tokens: 0 }, /tokens: 0 .*Next: give 1 or more/],
    [{ tokens: 1.5 }, /tokens/],
    [{ temperature: -1 }, /temperature is -1/],
    [{ temperature: 1, topP: 0 }, /topP is 0/],
    [{ temperature: 1, topK: 0.5 }, /topK is 0.5/],
    [{ stop: ["a", ""] }, /stop: .*Next: give at least one character/],
    [{ topP: 0.9 }, /topP: nothing is random .*Next: give a temperature above 0/],
    [{ topK: 3 }, /topK: nothing is random/],
    [{ seed: 3 }, /seed: nothing is random .*leave seed out/],
  ])("refuses %o", (options, message) => {
    expect(() => generationParameters(options)).toThrow(OptionError);
    expect(() => generationParameters(options)).toThrow(message);
  });
});
