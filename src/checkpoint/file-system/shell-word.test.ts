import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shellWord } from "./shell-word.js";

describe("shellWord", () => {
  it.each([
    ["plain/path-1.2_x", "plain/path-1.2_x"],
    ["my model", '"my model"'],
    ["it's", `"it's"`],
    ["$HOME/x", "'$HOME/x'"],
    [`it's $5`, `'it'\\''s $5'`],
    ["", '""'],
    ["-x", "./-x"],
    ["~x y", '"./~x y"'],
  ])("writes %j as %s", (text, word) => {
    expect(shellWord(text)).toBe(word);
  });

  it.skipIf(process.platform === "win32")("is one word with the same text for a shell", () => {
    const text = fc.string({ unit: "grapheme-ascii", maxLength: 12 }).filter((word) => !/^[-~]/.test(word));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 20 }), (words) => {
        const command = `for w in ${words.map(shellWord).join(" ")}; do printf '%s\\0' "$w"; done`;
        const read = execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" }).split("\0").slice(0, -1);
        expect(read).toEqual(words);
      }),
      { numRuns: 20 },
    );
  });
});
