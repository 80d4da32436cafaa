import { addon, type FoundOperator, type Handle, type Kind } from "./addon.js";
import { Generator } from "./generator.js";
import { Tensor } from "./tensor.js";
import { TensorError } from "./tensor-error.js";

/** A value that a dispatcher operator takes or returns. */
export type Value =
  | Tensor
  | Generator
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly (Tensor | number | boolean | null)[];

interface Operator extends FoundOperator {
  readonly name: string;
}

const found = new Map<string, Operator | null>();

function lookUp(name: string): Operator | null {
  let operator = found.get(name);
  if (operator === undefined) {
    const [base, overload = ""] = name.split(".", 2) as [string, string?];
    const result = addon().findOperator(base, overload);
    operator = result === null ? null : { ...result, name };
    found.set(name, operator);
  }
  return operator;
}

/** Whether this libtorch has the operator: `hasOperator("aten::scaled_dot_product_attention")`. */
export function hasOperator(name: string): boolean {
  return lookUp(name) !== null;
}

/**
 * Calls an operator of libtorch's dispatcher by its schema name, `aten::add.Tensor`.
 *
 * Arguments are converted by the operator's schema; those left out (or `undefined`) take its
 * defaults, and may be given by keyword. Tensors that come back belong to the caller, or to the
 * `scope` around the call.
 *
 * @throws TensorError when the operator is unknown, refuses its arguments or fails.
 */
export function call(name: string, positional: readonly Value[], keywords?: Readonly<Record<string, Value>>): Value {
  const operator = required(name, positional);
  const result = invoke(operator, positional, keywords, false);
  if (operator.returns.length === 1) {
    return adopt(result, operator.returns[0]);
  }
  return (result as unknown[]).map((entry, i) => adopt(entry, operator.returns[i])) as Value;
}

/** Calls an operator that returns one tensor. */
export function callTensor(
  name: string,
  positional: readonly Value[],
  keywords?: Readonly<Record<string, Value>>,
): Tensor {
  const operator = required(name, positional);
  return Tensor.adopt(invoke(operator, positional, keywords, false) as Handle);
}

/** Calls an operator that returns several tensors. */
export function callTensors(
  name: string,
  positional: readonly Value[],
  keywords?: Readonly<Record<string, Value>>,
): Tensor[] {
  const operator = required(name, positional);
  return (invoke(operator, positional, keywords, false) as Handle[]).map((handle) => Tensor.adopt(handle));
}

/** Calls an operator for its effect on its arguments (`aten::add_.Tensor`), dropping its result. */
export function callInPlace(
  name: string,
  positional: readonly Value[],
  keywords?: Readonly<Record<string, Value>>,
): void {
  invoke(required(name, positional), positional, keywords, true);
}

function required(name: string, positional: readonly Value[]): Operator {
  const operator = lookUp(name);
  if (operator === null) {
    throw new TensorError(name, shapesOf(positional), new Error("this libtorch has no such operator"));
  }
  return operator;
}

function invoke(
  operator: Operator,
  positional: readonly Value[],
  keywords: Readonly<Record<string, Value>> | undefined,
  discard: boolean,
): unknown {
  try {
    const converted = new Array<unknown>(positional.length);
    for (let i = 0; i < positional.length; i++) {
      converted[i] = toNative(positional[i], operator.arguments[i]?.kind ?? "value");
    }
    return addon().callOperator(operator.id, converted, keywords && keywordsToNative(operator, keywords), discard);
  } catch (error) {
    throw error instanceof TensorError ? error : new TensorError(operator.name, shapesOf(positional), error);
  }
}

function keywordsToNative(
  operator: Operator,
  keywords: Readonly<Record<string, Value>>,
): Readonly<Record<string, unknown>> {
  const converted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(keywords)) {
    const argument = operator.arguments.find((candidate) => candidate.name === name);
    if (argument === undefined) {
      throw new TypeError(`no argument '${name}'; it has ${operator.arguments.map((a) => a.name).join(", ")}`);
    }
    converted[name] = toNative(value, argument.kind);
  }
  return converted;
}

// A handle is a number: without the schema's kind a tensor could pass for a scalar.
function toNative(value: Value, kind: Kind): unknown {
  switch (kind) {
    case "Tensor":
    case "Tensor?":
      if (value instanceof Tensor) return value.handle;
      if (value === undefined || (value === null && kind === "Tensor?")) return value;
      break;
    case "Tensor[]":
    case "Tensor?[]":
      if (Array.isArray(value)) {
        return value.map((entry: unknown) => {
          if (entry instanceof Tensor) return entry.handle;
          if (entry === null && kind === "Tensor?[]") return null;
          throw new TypeError("a list of tensors holds something else");
        });
      }
      if (value === undefined) return value;
      break;
    case "Generator":
      if (value instanceof Generator) return value.handle;
      if (value === undefined || value === null) return value;
      break;
    default:
      if (!(value instanceof Tensor) && !(value instanceof Generator)) return value;
  }
  throw new TypeError(`expected ${kind === "value" ? "a plain value" : kind}, got ${describe(value)}`);
}

function adopt(result: unknown, kind: Kind | undefined): Value {
  if (typeof result === "number" && (kind === "Tensor" || kind === "Tensor?")) {
    return Tensor.adopt(result);
  }
  if (Array.isArray(result) && (kind === "Tensor[]" || kind === "Tensor?[]")) {
    return result.map((entry: unknown) => (typeof entry === "number" ? Tensor.adopt(entry) : null));
  }
  return result as Value;
}

function shapesOf(values: readonly Value[]): string[] {
  return values.filter((value) => value instanceof Tensor || Array.isArray(value)).map(describe);
}

function describe(value: Value): string {
  if (value instanceof Tensor) {
    return value.isDisposed ? "disposed" : `${value.dtype}[${value.shape.join(", ")}]`;
  }
  if (Array.isArray(value)) {
    return `[${value.map((entry: Tensor | number | boolean | null) => describe(entry)).join(", ")}]`;
  }
  return String(value);
}
