import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import { Float, numberOf, typeName, type Value } from "../values.js";
import { representation, textOf } from "../write-value.js";

const directive = /%(-?)(0?)(\d*)(?:\.(\d+))?([a-zA-Z%])/g;

/**
 * `format % values`, for `%s`, `%r`, `%d`, `%f` and `%%` with a width and a precision.
 *
 * @throws UnsupportedConstruct for other directives.
 */
export function formatText(format: string, values: readonly Value[], mayBeUnused = false): string {
  let used = 0;
  const withoutDirectives = format.replaceAll(directive, "");
  if (withoutDirectives.includes("%")) throw new UnsupportedConstruct("a format with named or incomplete directives");
  const text = format.replaceAll(
    directive,
    (_whole, left: string, zero: string, width: string, precision: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      const value = values[used++];
      if (value === undefined) throw new TemplateError("not enough arguments for format string");
      const written = formatted(kind, value, precision === undefined ? undefined : Number(precision));
      if (left !== "") return written.padEnd(Number(width));
      if (zero === "" || kind === "s" || kind === "r") return written.padStart(Number(width));
      const sign = written.startsWith("-") ? "-" : "";
      return sign + written.slice(sign.length).padStart(Number(width) - sign.length, "0");
    },
  );
  if (used < values.length && !mayBeUnused)
    throw new TemplateError("not all arguments converted during string formatting");
  return text;
}

function formatted(kind: string, value: Value, precision: number | undefined): string {
  if (kind === "s" || kind === "r") {
    const text = kind === "s" ? textOf(value) : representation(value);
    return precision === undefined ? text : Array.from(text).slice(0, precision).join("");
  }
  const number = numberOf(value);
  if (kind !== "d" && kind !== "i" && kind !== "f") throw new UnsupportedConstruct(`the format %${kind}`);
  if (number === undefined)
    throw new TemplateError(`%${kind} format: a real number is required, not ${typeName(value)}`);
  if (kind === "f") return fixed(Number(number), precision ?? 6);
  return value instanceof Float ? String(BigInt(Math.trunc(value.value))) : String(number);
}

function fixed(value: number, digits: number): string {
  if (Math.abs(value) >= 1e21 || digits > 100) throw new UnsupportedConstruct("a number that long in a format");
  return value.toFixed(digits);
}
