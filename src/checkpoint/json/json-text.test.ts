import { expect, it } from "vitest";
import { CheckpointError } from "../../errors.js";
import { parseJson, parseJsonObject } from "./json.js";
import { jsonText, standardJson } from "./json-text.js";

it.each([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  [" -Infinity\n", Number.NEGATIVE_INFINITY],
  ['{"a": NaN, "b": [-Infinity, 1]}', { a: Number.NaN, b: [Number.NEGATIVE_INFINITY, 1] }],
  [
    '{"NaN": NaN, "a": "NaN_", "b": "say \\"NaN, Infinity\\""}',
    { NaN: Number.NaN, a: "NaN_", b: 'say "NaN, Infinity"' },
  ],
  ['["NaN", NaN, "NaN_"]', ["NaN", Number.NaN, "NaN_"]],
])("reads %s as Python does", (text, value) => {
  expect(parseJson(text)).toEqual(value);
});

it.each(["nan", "NAN", "-NaN", "+Infinity", "Infinityx", "1Infinity", "NaN1", '{"a": Infinit}', "{a: NaN}", '"NaN'])(
  "refuses %s, as Python does",
  (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  },
);

it("names the file that is no JSON even with the three words", () => {
  expect(() => parseJsonObject('{"a": NaN,}', "/m/config.json")).toThrow(CheckpointError);
});

it("writes the three words where a value has them, and leaves strings alone", () => {
  const value = { a: Number.NaN, b: [Number.NEGATIVE_INFINITY, "number0", "NaN"], c: { d: Number.POSITIVE_INFINITY } };
  expect(jsonText(value)).toBe('{"a":NaN,"b":[-Infinity,"number0","NaN"],"c":{"d":Infinity}}');
  expect(parseJson(jsonText(value, 2))).toEqual(value);
  expect(jsonText({ a: 1, b: null }, 1)).toBe(JSON.stringify({ a: 1, b: null }, null, 1));
});

it("turns them into what JavaScript's reader takes", () => {
  const standard = standardJson('{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN \\" Infinity"}');
  expect(JSON.parse(standard)).toEqual({
    a: null,
    b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    c: 'NaN " Infinity',
  });
  expect(standardJson('{"a": 1.50}')).toBe('{"a": 1.50}');
});
