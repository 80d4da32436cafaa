import { describe, expect, it } from "vitest";
import { parseDuration } from "./parse-duration.js";

describe("parseDuration", () => {
  it.each([
    ["90s", 90],
    ["20min", 1200],
    ["20 m", 1200],
    ["1h30", 5400],
    ["1h 30min", 5400],
    ["2 h", 7200],
    ["1.5h", 5400],
    ["1d2h", 93600],
    [" 3H ", 10800],
  ])("reads %s", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(["", "20", "soon", "0min", "-5min", "1h30x", "5min 2h", "2h 3h", "1min30", "1e400h", "h"])(
    "refuses %j, and shows how to write it",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/option "time".*is no length of time.*Next: write it like 90s, 20min/);
    },
  );
});
