import { OwnedTensor } from "../owned-tensor.js";
import { TensorError } from "../tensor-error.js";
import { addon, type FoundOperator, type Kind } from "./addon.js";
import { Generator } from "./generator.js";

/** A value that a dispatcher operator takes or returns. */
export type Value =
  | OwnedTensor
  | Generator
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly (OwnedTensor | number | boolean | null)[];

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
 * Whether the addon has this fused operator for tensors like `x`: kernels exist per kind of device, for fp32 and bf16.
 * Elsewhere the same is composed of libtorch's operators.
 */
export function hasKernel(name: string, x: OwnedTensor): boolean {
  const device = x.device.replace(/:.*/, "");
  if (x.dtype !== "float32" && x.dtype !== "bfloat16") return false;
  return lookUp(name)?.devices.includes(device) === true;
}

/** Arguments by name. */
export type Keywords = Readonly<Record<string, Value>>;

/**
 * Calls an operator by its schema name and gives what the addon returned, tensors as handles, with
 * the kinds that the schema declares. With `discard` the results are dropped.
 *
 * @throws TensorError when the operator is unknown, refuses its arguments or fails.
 */
export function dispatch(
  name: string,
  positional: readonly Value[],
  keywords: Keywords | undefined,
  discard: boolean,
): { readonly result: unknown; readonly returns: readonly Kind[] } {
  const operator = required(name, positional);
  return { result: invoke(operator, positional, keywords, discard), returns: operator.returns };
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
  keywords: Keywords | undefined,
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
      if (value instanceof OwnedTensor) return value.handle;
      if (value === undefined || (value === null && kind === "Tensor?")) return value;
      break;
    case "Tensor[]":
    case "Tensor?[]":
      if (Array.isArray(value)) {
        return value.map((entry: unknown) => {
          if (entry instanceof OwnedTensor) return entry.handle;
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
      if (!(value instanceof OwnedTensor) && !(value instanceof Generator)) return value;
  }
  throw new TypeError(`expected ${kind === "value" ? "a plain value" : kind}, got ${describe(value)}`);
}

function shapesOf(values: readonly Value[]): string[] {
  return values.filter((value) => value instanceof OwnedTensor || Array.isArray(value)).map(describe);
}

function describe(value: Value): string {
  if (value instanceof OwnedTensor) {
    return value.isDisposed ? "disposed" : `${value.dtype}[${value.shape.join(", ")}]`;
  }
  if (Array.isArray(value)) {
    return `[${value.map((entry: OwnedTensor | number | boolean | null) => describe(entry)).join(", ")}]`;
  }
  return String(value);
}
