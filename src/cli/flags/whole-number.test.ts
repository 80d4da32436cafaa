import { expect, it } from "vitest";
import type { OptionError } from "../../errors.js";
import { wholeNumber } from "./whole-number.js";

it.each(["0", "-3", "1.5", "", "many", "1e400"])("refuses %j, and names what works", (text) => {
  const parse = wholeNumber("--limit", 1);
  const refusal = (): OptionError => {
    try {
      return parse(text) as never;
    } catch (error) {
      return error as OptionError;
    }
  };
  const told = /^give --limit (\d+) or more, as digits, or leave it out$/.exec(refusal().next);
  expect(told, refusal().next).not.toBeNull();
  expect(parse(told?.[1] ?? "")).toBe(1);
});
