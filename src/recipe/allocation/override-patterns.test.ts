import { describe, expect, it } from "vitest";
import { pinnedBits } from "../job/layer-schemes.js";

const names = (pattern: string, name: string): boolean => pinnedBits(name, [{ pattern, bits: 8 }]) === 8;

describe("patterns of overrides", () => {
  it("match a whole name, with a star for any characters, none and line ends among them", () => {
    expect(names("a.down", "a.down")).toBe(true);
    expect(names("a.down", "a.down_proj")).toBe(false);
    expect(names("*.down_proj", "layers.0.mlp.down_proj")).toBe(true);
    expect(names("layers.*.mlp.*", "layers.0.mlp.up")).toBe(true);
    expect(names("layers.1*", "layers.21.mlp.up")).toBe(false);
    expect(names("*", "")).toBe(true);
    expect(names("conv*end", "conv\n1.end")).toBe(true);
    expect(names("a[0-9]", "a1")).toBe(false);
  });

  it("do not count a character twice, and find the last part at the end", () => {
    expect(names("ab*ba", "aba")).toBe(false);
    expect(names("ab*ba", "abba")).toBe(true);
    expect(names("*aab", "aaaab")).toBe(true);
    expect(names("a*b*b", "ab")).toBe(false);
    expect(names("*a*a", "aba")).toBe(true);
  });

  it("of very many stars are as quick as others", () => {
    expect(names(`${"*".repeat(5000)}x`, "model.layers.0.self_attn.q_proj")).toBe(false);
    expect(names(`${"*o".repeat(20)}x`, "o".repeat(10_000))).toBe(false);
  });
});
