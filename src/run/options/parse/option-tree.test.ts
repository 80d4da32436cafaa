import { describe, expect, it } from "vitest";
import { runOptionsSchema } from "../options.js";
import { optionLines } from "./option-tree.js";

describe("optionLines", () => {
  it("has a type, a line of help and a default or a requirement for every option", () => {
    const lines = optionLines(runOptionsSchema);
    expect(lines.length).toBeGreaterThan(50);
    for (const line of lines) {
      expect(line.help, line.name).not.toBe("");
      expect(line.type, line.name).not.toBe("");
    }
    expect(lines.filter((line) => line.defaultValue === null).map((line) => line.name)).toEqual([
      "model",
      "scheme",
      "out",
    ]);
    expect(lines.find((line) => line.name === "window.loss.l2")).toMatchObject({ type: "plain|token" });
    expect(lines.find((line) => line.name === "window.microBatch")).toMatchObject({ type: "number|null" });
  });
});
