import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import {
  Callable,
  compare,
  contains,
  Float,
  Iterator,
  isDict,
  isEqual,
  isList,
  numberOf,
  Tuple,
  Undefined,
  type Value,
  View,
} from "../values.js";
import { textOf } from "../write-value.js";
import { bindArguments } from "./call-arguments.js";

type Test = readonly [parameters: readonly string[], run: (value: Value, other: Value) => boolean];

const plain = (run: (value: Value) => boolean): Test => [[], run];
const isInteger = (value: Value): boolean => typeof value === "number" || typeof value === "bigint";
const equal: Test = [["b"], isEqual];
const notEqual: Test = [["b"], (value, other) => !isEqual(value, other)];
const less: Test = [["b"], (value, other) => compare(value, other, "<") < 0];
const atMost: Test = [["b"], (value, other) => compare(value, other, "<=") <= 0];
const greater: Test = [["b"], (value, other) => compare(value, other, ">") > 0];
const atLeast: Test = [["b"], (value, other) => compare(value, other, ">=") >= 0];

/** Jinja's tests by name. */
const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["defined", plain((value) => !(value instanceof Undefined))],
  ["undefined", plain((value) => value instanceof Undefined)],
  ["none", plain((value) => value === null)],
  ["boolean", plain((value) => typeof value === "boolean")],
  ["true", plain((value) => value === true)],
  ["false", plain((value) => value === false)],
  ["integer", plain(isInteger)],
  ["float", plain((value) => value instanceof Float)],
  ["number", plain((value) => numberOf(value) !== undefined)],
  ["string", plain((value) => typeof value === "string")],
  ["mapping", plain(isDict)],
  ["sequence", plain(isSequence)],
  ["iterable", plain((value) => isSequence(value) || value instanceof View || value instanceof Iterator)],
  ["callable", plain((value) => value instanceof Callable || value instanceof Undefined)],
  ["lower", plain((value) => hasCase(textOf(value), (text) => text.toLowerCase()))],
  ["upper", plain((value) => hasCase(textOf(value), (text) => text.toUpperCase()))],
  ["odd", plain((value) => remainder(value, 2) === 1)],
  ["even", plain((value) => remainder(value, 2) === 0)],
  ["divisibleby", [["num"], (value, divisor) => remainder(value, divisor) === 0]],
  ["in", [["seq"], (value, container) => contains(container, value)]],
  ["sameas", [["other"], isSame]],
  ...["==", "eq", "equalto"].map((name) => [name, equal] as const),
  ...["!=", "ne"].map((name) => [name, notEqual] as const),
  ...["<", "lt", "lessthan"].map((name) => [name, less] as const),
  ...["<=", "le"].map((name) => [name, atMost] as const),
  ...[">", "gt", "greaterthan"].map((name) => [name, greater] as const),
  ...[">=", "ge"].map((name) => [name, atLeast] as const),
]);

/** `value is name(args)` */
export function passesTest(
  name: string,
  value: Value,
  args: readonly Value[],
  named: ReadonlyMap<string, Value>,
): boolean {
  const test = tests.get(name);
  if (test === undefined) throw new UnsupportedConstruct(`the test '${name}'`);
  const [parameters, run] = test;
  const [other = null] = bindArguments(name, parameters, args, named, parameters.length);
  return run(value, other);
}

function isSame(value: Value, other: Value): boolean {
  // Whether two equal texts or numbers are one object in Python depends on where they come from.
  const hasTwins = typeof value === "string" || (numberOf(value) !== undefined && typeof value !== "boolean");
  if (hasTwins && isEqual(value, other)) throw new UnsupportedConstruct("the test 'sameas' of texts and numbers");
  return value === other;
}

function isSequence(value: Value): boolean {
  const isRange = value instanceof View && value.kind === "range";
  const holds = typeof value === "string" || isList(value) || isDict(value) || value instanceof Tuple;
  return holds || isRange || value instanceof Undefined;
}

/** `str.islower()` and `str.isupper()`: something in it has case, and all of that has this one. */
function hasCase(text: string, fold: (text: string) => string): boolean {
  return fold(text) === text && text.toLowerCase() !== text.toUpperCase();
}

function remainder(value: Value, divisor: Value): number {
  const [a, b] = [numberOf(value), numberOf(divisor)];
  if (value instanceof Undefined) throw value.error();
  if (a === undefined || b === undefined) throw new TemplateError("a remainder of what is no number");
  if (Number(b) === 0) throw new TemplateError("division by zero");
  const rest = Number(a) % Number(b);
  return rest !== 0 && rest < 0 !== Number(b) < 0 ? rest + Number(b) : rest;
}
