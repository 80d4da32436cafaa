import { describe, expect, it } from "vitest";
import { type GivenOptions, resolveOptions } from "../options/options.js";
import { identityOf } from "./run-identity.js";

const required = { model: "m", scheme: "W2A16g64", out: "o", calibration: ["text.txt"] };
const rtn = { recipe: "rtn", calibration: [] };

describe("the identity of a run", () => {
  it("has no options that nothing reads", () => {
    const parts = { model: "m", tokenizer: null, calibration: null, version: "1", engine: "e" };
    const identity = (options: GivenOptions): readonly string[] => Object.keys(identityOf(parts, options));
    const plain = resolveOptions(required, rtn);
    const names = identity(plain).filter((name) => name.startsWith("option "));
    for (const group of ["window", "rounding", "rates", "cfp", "gptq", "endToEnd", "schedule", "seed", "samples"]) {
      expect(names.filter((name) => name.startsWith(`option ${group}`))).toEqual([]);
    }
    expect(names).toEqual(expect.arrayContaining(["option scheme", "option range.search", "option recipe"]));
    // Other defaults of what rtn does not read leave a saved run the same.
    const other = { ...plain, window: { ...plain.window, epochs: 99 }, preset: "paper", seed: 5 } as const;
    expect(identityOf(parts, other)).toEqual(identityOf(parts, plain));
    const paper = identity(resolveOptions(required, { preset: "paper" }));
    expect(paper).toEqual(expect.arrayContaining(["option rounding.rank", "option cfp.exponent", "option seed"]));
    expect(paper).not.toContain("option rates.zeroPoint");
    for (const name of ["streams.storage", "compute.threads", "window.microBatch", "preset", "device", "reencode"]) {
      expect(paper).not.toContain(`option ${name}`);
    }
    expect(paper).not.toContain("option endToEnd.epochs");
  });
});
