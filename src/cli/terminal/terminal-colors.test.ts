import { expect, it } from "vitest";
import { colorsOf } from "./terminal-colors.js";

const terminal = { isTTY: true };

it.each([
  [terminal, { TERM: "xterm" }, true],
  [terminal, { TERM: "dumb" }, false],
  [terminal, { NO_COLOR: "1" }, false],
  [terminal, { NO_COLOR: "" }, true],
  [{}, {}, false],
  [{}, { FORCE_COLOR: "1" }, true],
  [{}, { FORCE_COLOR: "" }, true],
  [terminal, { FORCE_COLOR: "0" }, false],
  [terminal, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
])("%o with %o: %s", (stream, env, coloured) => {
  expect(colorsOf(stream, env).red("x")).toBe(coloured ? "\x1b[31mx\x1b[39m" : "x");
});
