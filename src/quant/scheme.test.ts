import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import { groupColumns, parseScheme, schemeName } from "./scheme.js";

describe("schemes", () => {
  it("reads names and writes them back", () => {
    expect(parseScheme("W2A16g64")).toEqual({ bits: 2, groupSize: 64, symmetric: true, activationBits: 16 });
    expect(parseScheme("w4a4", { asym: true })).toEqual({
      bits: 4,
      groupSize: null,
      symmetric: false,
      activationBits: 4,
    });
    for (const name of ["W2A16g64", "W3A16", "W4A8g128", "W8A8", "W6A16g32"]) {
      expect(schemeName(parseScheme(name))).toBe(name);
    }
  });

  it("refuses what it does not know and names the nearest scheme", () => {
    expect(() => parseScheme("W7A16g64")).toThrow(OptionError);
    expect(() => parseScheme("W7A16g64")).toThrow(/try --scheme W[68]A16g64/);
    expect(() => parseScheme("W4A5")).toThrow(/try --scheme W4A4/);
    expect(() => parseScheme("int4")).toThrow(/try --scheme W4A16g64/);
    expect(() => parseScheme("W4A16g4")).toThrow(/g8/);
  });

  it("refuses a group that does not divide the width and names one that does", () => {
    const scheme = parseScheme("W4A16g128");
    expect(groupColumns(scheme, 1024, "q")).toBe(128);
    expect(groupColumns(parseScheme("W4A16"), 576, "q")).toBe(576);
    expect(() => groupColumns(scheme, 576, "model.layers.0.mlp.up_proj")).toThrow(
      /model\.layers\.0\.mlp\.up_proj: groups of 128 columns do not divide its 576 inputs.*W4A16g144/,
    );
  });
});
