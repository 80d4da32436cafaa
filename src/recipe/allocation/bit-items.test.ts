import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../checkpoint/json/json.js";
import { decoderUnits, readSpec } from "../../network/index.js";
import { tinyModel } from "../../network/testing/tiny-models.js";
import { parseScheme } from "../../quant/scheme.js";
import { resolveSchemes } from "../job/layer-schemes.js";
import { allocateBits, bitItems, leastMean, likelyAllocation, meanBits } from "./bit-items.js";

const units = decoderUnits(readSpec(tinyModel("llama").config as JsonObject));
const [first] = units;
const scheme = parseScheme("W3A16g8");
const schemes = resolveSchemes(units, scheme, []);
const names = (modules: readonly string[]): string[] => modules.map((module) => module.split(".").at(-1) ?? "");

describe("Linears that share a budget of bits", () => {
  it("stand together where they read the same input, and alone where they need not", () => {
    const tied = bitItems(units, schemes, { overrides: [], widths: [4, 2], tied: true });
    const own = tied.filter(({ modules }) => modules.some((module) => first?.layers.some((l) => l.module === module)));
    expect(own.map(({ modules }) => names(modules))).toEqual([
      ["q_proj", "k_proj", "v_proj"],
      ["o_proj"],
      ["gate_proj", "up_proj"],
      ["down_proj"],
    ]);
    expect(own[0]?.widths).toEqual([2, 4]);
    const weights = first?.layers.slice(0, 3).reduce((sum, { rows, columns }) => sum + rows * columns, 0);
    expect(own[0]?.weights).toBe(weights);
    const alone = bitItems(units, schemes, { overrides: [], widths: [2, 4], tied: false });
    expect(alone.length).toBe(units.length * 7);
  });

  it("keep the bits of an override, which count in the budget, and are left out where they are skipped", () => {
    const overrides = [
      { pattern: "*.v_proj", bits: 8 },
      { pattern: "*.down_proj", skip: true },
      { pattern: "*.o_proj", group: 16 },
    ];
    const items = bitItems(units, resolveSchemes(units, scheme, overrides), { overrides, widths: [2, 4], tied: true });
    const all = items.flatMap(({ modules }) => names(modules));
    expect(all).not.toContain("down_proj");
    expect(items.find(({ modules }) => names(modules).includes("v_proj"))).toMatchObject({ widths: [8] });
    expect(items.map(({ modules }) => names(modules))).toContainEqual(["q_proj", "k_proj"]);
    const least = leastMean(items);
    expect(least).toBeGreaterThan(2);
    expect(allocateBits(items, least - 0.01, () => 1)).toBeNull();
    const budget = 3.5;
    const found = allocateBits(items, budget, (module, bits) => (module.endsWith("o_proj") ? 100 : 1) * 4 ** -bits);
    if (found === null) throw new Error("the budget is above the least");
    expect(meanBits(items, (module) => found.get(module) as number)).toBeLessThanOrEqual(budget);
    for (const { modules, widths } of items) {
      for (const module of modules) expect(widths).toContain(found.get(module));
      if (modules.some((module) => module.endsWith("v_proj"))) expect(found.get(modules[0] as string)).toBe(8);
      if (modules.some((module) => module.endsWith("o_proj"))) expect(found.get(modules[0] as string)).toBe(4);
    }
    // The group of an override stays, the bits come from the budget.
    const resolved = resolveSchemes(units, scheme, overrides, found);
    const o = [...resolved].find(([module]) => module.endsWith("o_proj"));
    expect(o?.[1]).toMatchObject({ bits: 4, groupSize: 16 });
    const v = [...resolved].find(([module]) => module.endsWith("v_proj"));
    expect(v?.[1]).toMatchObject({ bits: 8, groupSize: 8 });
  });

  it("come near the budget before anything is measured, and meet one that is no sum of halves", () => {
    const items = bitItems(units, schemes, { overrides: [], widths: [2, 3, 4, 5, 6, 8], tied: true });
    for (const budget of [2.1, 2.5, 3, 4.75]) {
      const found = likelyAllocation(items, budget);
      if (found === null) throw new Error("every Linear may have 2 bits");
      const mean = meanBits(items, (module) => found.get(module) as number);
      expect(mean).toBeLessThanOrEqual(budget + 1e-9);
      expect(mean).toBeGreaterThan(budget - 0.25);
    }
    const three = likelyAllocation(items, 3);
    expect([...(three?.values() ?? [])].every((bits) => bits === 3)).toBe(true);
  });
});
