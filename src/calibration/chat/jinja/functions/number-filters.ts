import { calculate, toInteger } from "../arithmetic.js";
import { stripEnd, stripStart } from "../python-text.js";
import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import { Float, numberOf, typeName, Undefined, type Value } from "../values.js";
import type { Filter } from "./filter.js";

/** Jinja's filters that give numbers. */
export const numberFilters: Readonly<Record<string, Filter>> = {
  abs: [[], 0, (value) => (isNegative(value) ? calculate("-", 0, value) : calculate("+", value, 0))],
  int: [["default", "base"], 0, (value, [fallback = 0, base = 10]) => toInt(value, base) ?? fallback],
  float: [["default"], 0, (value, [fallback = new Float(0)]) => toFloat(value) ?? fallback],
  round: [["precision", "method"], 0, (value, [precision = 0, method = "common"]) => round(value, precision, method)],
};

function isNegative(value: Value): boolean {
  const number = numberOf(value);
  return number !== undefined && number < 0;
}

function toInt(value: Value, base: Value): Value | undefined {
  if (value instanceof Undefined) throw value.error();
  if (base !== 10) throw new UnsupportedConstruct("the filter 'int' with another base than 10");
  const number = numberOf(value);
  if (typeof number === "bigint") return number;
  if (number !== undefined) return Number.isFinite(number) ? toInteger(BigInt(Math.trunc(number))) : undefined;
  if (typeof value !== "string") return undefined;
  const text = stripStart(stripEnd(value));
  if (/^[+-]?\d+(?:_\d+)*$/.test(text)) return toInteger(BigInt(text.replaceAll("_", "").replace("+", "")));
  const float = toFloat(value);
  return float instanceof Float && Number.isFinite(float.value) ? toInt(float, base) : undefined;
}

function toFloat(value: Value): Value | undefined {
  if (value instanceof Undefined) throw value.error();
  const number = numberOf(value);
  if (number !== undefined) return new Float(Number(number));
  if (typeof value !== "string") return undefined;
  const text = stripStart(stripEnd(value)).toLowerCase();
  const special = /^([+-]?)(inf(?:inity)?|nan)$/.exec(text);
  if (special !== null) {
    const size = special[2] === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
    return new Float(special[1] === "-" ? -size : size);
  }
  const digits = "\\d+(?:_\\d+)*";
  const isFloat = new RegExp(`^[+-]?(?:${digits}\\.?(?:${digits})?|\\.${digits})(?:e[+-]?${digits})?$`).test(text);
  return isFloat ? new Float(Number(text.replaceAll("_", ""))) : undefined;
}

function round(value: Value, precision: Value, method: Value): Value {
  const number = numberOf(value);
  if (number === undefined) throw new TemplateError(`type ${typeName(value)} can't be rounded`);
  if (typeof precision !== "number" || precision < 0 || precision > 15) {
    throw new UnsupportedConstruct("the filter 'round' with a precision below 0 or above 15");
  }
  const scale = 10 ** precision;
  if (method === "ceil") return new Float(Math.ceil(Number(number) * scale) / scale);
  if (method === "floor") return new Float(Math.floor(Number(number) * scale) / scale);
  if (method !== "common") throw new TemplateError("method must be common, ceil or floor");
  if (!(value instanceof Float)) return toInteger(BigInt(number));
  // Halves go to the even neighbour; toFixed takes the larger one.
  const scaled = value.value * scale;
  const isHalf = Math.abs(scaled % 1) === 0.5 && scaled / scale === value.value;
  if (isHalf) return new Float((2 * Math.round(scaled / 2)) / scale);
  return new Float(Math.abs(value.value) < 1e21 ? Number(value.value.toFixed(precision)) : value.value);
}
