import { formatText } from "./functions/format-text.js";
import type { ArithmeticOperator } from "./syntax/syntax-tree.js";
import { TemplateError } from "./template-error.js";
import { Float, isDict, isList, numberOf, Tuple, typeName, Undefined, type Value, View } from "./values.js";

/** Longer texts and integers are no chat: a template that makes them never ends. */
const mostCharacters = 1 << 28;

/** A bigint as a number, where a number can hold it. */
export function toInteger(value: bigint): Value {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** `left operator right` */
export function calculate(operator: ArithmeticOperator, left: Value, right: Value): Value {
  if (left instanceof Undefined) throw left.error();
  if (right instanceof Undefined && !(operator === "%" && typeof left === "string")) throw right.error();
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) {
    if (left instanceof Float || right instanceof Float || operator === "/") {
      return new Float(floatResult(operator, Number(a), Number(b)));
    }
    return integerResult(operator, BigInt(a), BigInt(b));
  }
  if (operator === "%" && typeof left === "string") {
    // Python lets what has keys or indices stay unused.
    const mayBeUnused = isList(right) || isDict(right) || right instanceof View || right instanceof Undefined;
    return formatText(left, right instanceof Tuple ? right.items : [right], mayBeUnused);
  }
  if (operator === "+") {
    if (typeof left === "string" && typeof right === "string") return left + right;
    if (isList(left) && isList(right)) return [...left, ...right];
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
    if (typeof left === "string") {
      throw new TemplateError(`can only concatenate str (not "${typeName(right)}") to str`);
    }
  }
  if (operator === "*") {
    const [items, times] = b === undefined ? [right, a] : [left, b];
    if (times !== undefined && !(left instanceof Float) && !(right instanceof Float)) {
      const repeated = repeat(items, Math.max(0, Number(times)));
      if (repeated !== undefined) return repeated;
    }
  }
  throw new TemplateError(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

function repeat(items: Value, times: number): Value | undefined {
  const list = isList(items) ? items : items instanceof Tuple ? items.items : undefined;
  const length = typeof items === "string" ? items.length : (list?.length ?? 0);
  if (length * times > mostCharacters) throw new TemplateError("a value is repeated too often");
  if (typeof items === "string") return items.repeat(times);
  if (list === undefined) return undefined;
  const all = Array.from({ length: length * times }, (_, i) => list[i % length] ?? null);
  return isList(items) ? all : new Tuple(all);
}

function floatResult(operator: ArithmeticOperator, a: number, b: number): number {
  if (b === 0 && (operator === "/" || operator === "//" || operator === "%"))
    throw new TemplateError("division by zero");
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return Math.floor(a / b);
    case "%": {
      const rest = a % b;
      return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
    }
    case "**": {
      const power = a ** b;
      if (Number.isNaN(power) || (!Number.isFinite(power) && Number.isFinite(a))) {
        throw new TemplateError("the result of ** is no real number");
      }
      return power;
    }
  }
}

function integerResult(operator: ArithmeticOperator, a: bigint, b: bigint): Value {
  if (b === 0n && (operator === "//" || operator === "%")) throw new TemplateError("division by zero");
  switch (operator) {
    case "+":
      return toInteger(a + b);
    case "-":
      return toInteger(a - b);
    case "*":
      return toInteger(a * b);
    case "//": {
      const quotient = a / b;
      return toInteger(quotient * b !== a && a < 0n !== b < 0n ? quotient - 1n : quotient);
    }
    case "%": {
      const rest = a % b;
      return toInteger(rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest);
    }
    case "**":
      if (b < 0n) return new Float(floatResult("**", Number(a), Number(b)));
      if (b > 4096n) throw new TemplateError("an exponent above 4096");
      return toInteger(a ** b);
    case "/":
      return new Float(Number(a) / Number(b));
  }
}
