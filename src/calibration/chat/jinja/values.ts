import { compareText, lengthOf } from "./python-text.js";
import { TemplateError, UnsupportedConstruct } from "./template-error.js";

/** A value as Python would have it. Integers that a double can't hold are bigints; dictionaries keep their order. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | readonly Value[]
  | Tuple
  | Dict
  | View
  | Iterator
  | Undefined
  | Callable
  | Namespace
  | Attributes;

export type Key = string | number;
export type Dict = ReadonlyMap<Key, Value>;

export class Float {
  constructor(readonly value: number) {}
}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** `range(...)` and what `.keys()`, `.values()`, `.items()` of a dictionary give: only a range can be indexed. */
export class View {
  constructor(
    readonly kind: "range" | "dict_keys" | "dict_values" | "dict_items",
    readonly items: readonly Value[],
    /** How Python writes a range. */
    readonly written = "",
  ) {}
}

/** A generator: what filters such as `map` give. It has no length, is always true, and can be read once. */
export class Iterator {
  #items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.#items = items;
  }

  takeAll(): readonly Value[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  takeFirst(): Value | undefined {
    const [first] = this.#items;
    this.#items = this.#items.slice(1);
    return first;
  }
}

export class Undefined {
  /** @param what the expression's name, for the error of whoever uses it */
  constructor(readonly what: string) {}

  error(): TemplateError {
    return new TemplateError(`${this.what} is undefined`);
  }
}

export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: readonly Value[], named: ReadonlyMap<string, Value>) => Value,
  ) {}
}

/** `namespace(...)`: the one value that a template can change. */
export class Namespace {
  constructor(readonly attributes: Map<string, Value>) {}
}

/** An object with attributes of its own, such as `loop`. */
export class Attributes {
  constructor(
    readonly name: string,
    readonly get: (name: string) => Value | undefined,
    readonly call?: Callable["call"],
  ) {}
}

/** The `content` of a message that is a list of parts: a template must look into it, and never write it as it is. */
export class ContentParts extends Array<Value> {
  // What `map` and `slice` give is a plain list.
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isDict(value: Value): value is Dict {
  return value instanceof Map;
}

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" || typeof value === "bigint") return "int";
  if (typeof value === "string") return "str";
  if (isList(value)) return "list";
  if (isDict(value)) return "dict";
  if (value instanceof Float) return "float";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof View) return value.kind;
  if (value instanceof Iterator) return "generator";
  if (value instanceof Undefined) return "Undefined";
  return value instanceof Attributes ? value.name : value instanceof Namespace ? "Namespace" : "function";
}

export function isTrue(value: Value): boolean {
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Undefined) return false;
  const length = sizeOf(value);
  if (length !== undefined) return length > 0;
  return typeof value === "object" ? value !== null : Boolean(value);
}

/** Number of items, for what has one. */
function sizeOf(value: Value): number | undefined {
  if (typeof value === "string") return value.length;
  if (isList(value)) return value.length;
  if (isDict(value)) return value.size;
  if (value instanceof Tuple || value instanceof View) return value.items.length;
  return undefined;
}

/** `len(value)` */
export function lengthOfValue(value: Value): number {
  if (typeof value === "string") return lengthOf(value);
  if (value instanceof Undefined) return 0;
  const size = sizeOf(value);
  if (size !== undefined) return size;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

/** The items that a loop over the value sees, or undefined for what can't be iterated. */
export function itemsOf(value: Value): readonly Value[] | undefined {
  if (typeof value === "string") return Array.from(value);
  if (isList(value)) return value;
  if (isDict(value)) return [...value.keys()];
  if (value instanceof Tuple || value instanceof View) return value.items;
  if (value instanceof Iterator) return value.takeAll();
  return value instanceof Undefined ? [] : undefined;
}

export function iterate(value: Value): readonly Value[] {
  const items = itemsOf(value);
  if (items === undefined) throw new TemplateError(`'${typeName(value)}' object is not iterable`);
  return items;
}

/** The number behind an int, a bool or a float; undefined for all else. */
export function numberOf(value: Value): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return value instanceof Float ? value.value : undefined;
}

/** A dictionary's key. Python takes 1, 1.0 and True for the same, but writes the one that came first. */
export function keyOf(value: Value): Key {
  if (typeof value === "string") return value;
  const number = numberOf(value);
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw new UnsupportedConstruct(`a ${typeName(value)} as the key of a dictionary`);
}

/** `a == b` */
export function isEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  const [left, right] = [numberOf(a), numberOf(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of the same value are equal only so.
  if (left !== undefined && right !== undefined) return left == right;
  if (a instanceof Undefined) return b instanceof Undefined;
  if (isList(a)) return isList(b) && sameItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items);
  if (a instanceof View) return b instanceof View && a.kind === b.kind && sameItems(a.items, b.items);
  if (!isDict(a) || !isDict(b) || a.size !== b.size) return false;
  return [...a].every(([key, value]) => {
    const other = b.get(key);
    return other !== undefined && isEqual(value, other);
  });
}

function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => isEqual(item, b[i] ?? null));
}

/** Negative, zero or positive, for `a < b` and its kin; what has no order is an error, as in Python. */
export function compare(a: Value, b: Value, operator = "<"): number {
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined)
    return left < right ? -1 : left > right ? 1 : left >= right ? 0 : Number.NaN;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  const lists = isList(a) && isList(b) ? [a, b] : a instanceof Tuple && b instanceof Tuple ? [a.items, b.items] : null;
  if (lists !== null) {
    const [first = [], second = []] = lists;
    for (let i = 0; i < Math.min(first.length, second.length); i++) {
      const [x = null, y = null] = [first[i], second[i]];
      if (!isEqual(x, y)) return compare(x, y, operator);
    }
    return first.length - second.length;
  }
  for (const value of [a, b]) if (value instanceof Undefined) throw value.error();
  throw new TemplateError(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** `item in container` */
export function contains(container: Value, item: Value): boolean {
  if (typeof container === "string") {
    if (typeof item === "string") return container.includes(item);
    if (item instanceof Undefined) throw item.error();
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (isDict(container)) {
    const isHashable = !isList(item) && !isDict(item);
    if (!isHashable) throw new TemplateError(`unhashable type: '${typeName(item)}'`);
    const number = numberOf(item);
    if (typeof item === "string") return container.has(item);
    return typeof number === "number" && container.has(number);
  }
  return iterate(container).some((other) => isEqual(item, other));
}
