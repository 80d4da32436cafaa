import { expect, it } from "vitest";
import { OptionError } from "../../../errors.js";
import { mergeOptions } from "../../../recipe/options/merge-options.js";
import { resolveOptions, runOptionsSchema, type UntypedOptions } from "../options.js";
import { refusal, required } from "../testing/refusal.js";
import { optionAt, optionLines } from "./option-tree.js";
import { parseOptions } from "./parse-options.js";

const numbers = optionLines(runOptionsSchema).filter(({ type }) => /^number/.test(type));

/** Options with one value, at a dotted name. */
const at = (name: string, value: unknown): UntypedOptions =>
  name.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as UntypedOptions;

/** How a value is refused, whatever other options would say of it. */
function refused(name: string, value: unknown): OptionError | null {
  try {
    parseOptions(runOptionsSchema, { ...required, ...at(name, value) });
    return null;
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
}

it.each(numbers.map(({ name }) => name))("names a value of %s that is accepted", (name) => {
  const low = refused(name, -1);
  const bounded = low ?? refused(name, 1e300);
  expect(bounded, "is there a number without bounds?").not.toBeNull();
  const told = /^give (?:a number (above|below) )?(-?[\d.e+-]+)/.exec(bounded?.next ?? "");
  expect(told, bounded?.next).not.toBeNull();
  const [, beside, bound] = told ?? [];
  const value = Number(bound) + (beside === "above" ? 0.25 : beside === "below" ? -0.25 : 0);
  expect(optionAt(runOptionsSchema, name.split("."))?.safeParse(value).success, `${value}`).toBe(true);
  expect(refused(name, "many")?.next).toMatch(/^give a (whole )?number, as digits$/);
});

it.each([
  [{ window: 3 }, /^give its settings one by one: --set/],
  [{ device: "gpu" }, /^leave it out, which takes its default/],

  [{ out: "" }, /^give at least one character$/],
  [{ format: [] }, /^give a list of 1 or more$/],
  [{ overrides: [{ pattern: "x", group: 0 }] }, /^give 1 or more$/],
  [{ overrides: [{ pattern: "x", bits: 9 }] }, /^give 8 or less$/],
])("says of %j what would be accepted", (options, next) => {
  expect(refusal(options as UntypedOptions).next).toMatch(next);
});

it("is right that what it may leave out has a default", () => {
  expect(refusal({ device: "gpu" }).message).toMatch(/is no device: cpu, cuda:0, or auto/);
  expect(() => resolveOptions(required)).not.toThrow();
});

it("refuses an option named __proto__, which a file may hold, at any depth", () => {
  for (const text of ['{"__proto__":{"seed":3}}', '{"window":{"__proto__":{"size":1}}}']) {
    const file = mergeOptions({ window: { overlap: 1 } }, JSON.parse(text) as UntypedOptions);
    expect(Reflect.get(file, "seed")).toBeUndefined();
    expect(refusal(file).where).toMatch(/__proto__"$/);
  }
});

it("repeats the beginning of a long value alone, and advises no broken list", () => {
  const error = refused("overrides", "[".repeat(50_000));
  expect(error?.message.length).toBeLessThan(1000);
  expect(error?.next).toContain("write it as JSON");
});
