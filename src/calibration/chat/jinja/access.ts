import { toInteger } from "./arithmetic.js";
import { isTextMethod, textMethod } from "./functions/text-methods.js";
import { characters } from "./python-text.js";
import { TemplateError, UnsupportedConstruct } from "./template-error.js";
import {
  Attributes,
  Callable,
  isDict,
  isEqual,
  isList,
  keyOf,
  Namespace,
  numberOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

/** `object.name`: Python's own attributes come before the keys of a dictionary. */
export function attributeOf(object: Value, name: string): Value {
  if (object instanceof Undefined) throw object.error();
  const own = ownAttribute(object, name);
  const value = own === undefined && isDict(object) ? object.get(name) : own;
  return value === undefined ? missing(object, name) : value;
}

/** `object[key]`: the keys of a dictionary come first. */
export function itemOf(object: Value, key: Value): Value {
  if (object instanceof Undefined) throw object.error();
  if (isDict(object)) {
    if (isList(key) || isDict(key)) return missing(object, typeName(key));
    const isKey = typeof key === "string" || typeof numberOf(key) === "number";
    const value = isKey ? object.get(keyOf(key)) : undefined;
    if (value !== undefined) return value;
  }
  const index = numberOf(key);
  if (index !== undefined) {
    const items = sequenceOf(object);
    const isInteger = typeof key === "number" || typeof key === "boolean";
    const at = isInteger ? Number(index) : Number.NaN;
    const item = items?.[at < 0 ? at + items.length : at];
    return item === undefined ? missing(object, String(index)) : item;
  }
  if (typeof key !== "string") return missing(object, typeName(key));
  const own = ownAttribute(object, key);
  return own === undefined ? missing(object, key) : own;
}

/** `object[start:stop:step]` */
export function sliceOf(object: Value, bounds: readonly Value[]): Value {
  if (object instanceof Undefined) throw object.error();
  const items = sequenceOf(object);
  if (items === undefined) throw new TemplateError(`'${typeName(object)}' object can't be sliced`);
  if (!bounds.every((bound) => bound === null || typeof bound === "number" || typeof bound === "boolean")) {
    throw new TemplateError("slice indices must be integers or None");
  }
  const [start, stop, step] = bounds.map((bound) => (bound === null ? undefined : Number(bound)));
  const picked = slice(items, start, stop, step);
  if (typeof object === "string") return picked.join("");
  if (object instanceof View) throw new UnsupportedConstruct("a slice of a range");
  return object instanceof Tuple ? new Tuple(picked) : picked;
}

function slice<T>(items: readonly T[], start?: number, stop?: number, step = 1): T[] {
  if (step === 0) throw new TemplateError("slice step cannot be zero");
  const { length } = items;
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + length : bound, low), high);
  const from = start === undefined ? (step > 0 ? low : high) : clamp(start);
  const to = stop === undefined ? (step > 0 ? high : low) : clamp(stop);
  const picked: T[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) {
    const item = items[i];
    if (item !== undefined) picked.push(item);
  }
  return picked;
}

function sequenceOf(object: Value): readonly Value[] | undefined {
  if (typeof object === "string") return characters(object);
  if (isList(object)) return object;
  if (object instanceof Tuple) return object.items;
  return object instanceof View && object.kind === "range" ? object.items : undefined;
}

function missing(object: Value, name: string): Undefined {
  return new Undefined(`'${typeName(object)}' object's '${name}'`);
}

// What changes a value is hidden by the sandbox: it looks like an attribute that isn't there.
const changing = new Set([
  "append",
  "clear",
  "pop",
  "reverse",
  "insert",
  "sort",
  "extend",
  "remove",
  "popitem",
  "setdefault",
  "update",
]);
const dictAttributes = new Set([
  "get",
  "items",
  "keys",
  "values",
  "copy",
  "fromkeys",
  "clear",
  "pop",
  "popitem",
  "setdefault",
  "update",
]);
const listAttributes = new Set([
  "count",
  "index",
  "copy",
  "append",
  "clear",
  "pop",
  "reverse",
  "insert",
  "sort",
  "extend",
  "remove",
]);
const numberAttributes = new Set([
  "real",
  "imag",
  "numerator",
  "denominator",
  "bit_length",
  "bit_count",
  "conjugate",
  "to_bytes",
  "from_bytes",
  "as_integer_ratio",
  "is_integer",
  "hex",
  "fromhex",
]);

/** An attribute that the value's type has in Python. */
function ownAttribute(object: Value, name: string): Value | undefined {
  if (object instanceof Attributes) return object.get(name);
  if (object instanceof Namespace) return object.attributes.get(name);
  if (/^__.*__$/.test(name)) return missing(object, name);
  if (typeof object === "string") return isTextMethod(name) ? textMethod(object, name) : undefined;
  if (isDict(object)) {
    if (!dictAttributes.has(name)) return undefined;
    return changing.has(name) ? missing(object, name) : dictMethod(object, name);
  }
  if (isList(object)) {
    if (!listAttributes.has(name)) return undefined;
    return changing.has(name) ? missing(object, name) : listMethod(object, name);
  }
  if (object instanceof Tuple) return name === "count" || name === "index" ? listMethod(object.items, name) : undefined;
  if (numberOf(object) !== undefined && numberAttributes.has(name)) throw unsupported(object, name);
  // A macro's name and arguments, a range's bounds, and their like.
  if (object instanceof Callable || object instanceof View) throw unsupported(object, name);
  return undefined;
}

function unsupported(object: Value, name: string): UnsupportedConstruct {
  return new UnsupportedConstruct(`the attribute '${name}' of a ${typeName(object)}`);
}

function dictMethod(dict: ReadonlyMap<string | number, Value>, name: string): Value {
  const pairs = (): Value[] => [...dict].map((pair) => new Tuple(pair));
  switch (name) {
    case "get":
      return new Callable("get", ([key = null, fallback = null], named) => {
        if (named.size > 0) throw new TemplateError("get() takes no keyword arguments");
        const isKey = typeof key === "string" || typeof numberOf(key) === "number";
        const value = isKey ? dict.get(keyOf(key)) : undefined;
        return value === undefined ? fallback : value;
      });
    case "items":
      return new Callable("items", () => new View("dict_items", pairs()));
    case "keys":
      return new Callable("keys", () => new View("dict_keys", [...dict.keys()]));
    case "values":
      return new Callable("values", () => new View("dict_values", [...dict.values()]));
    case "copy":
      return new Callable("copy", () => dict);
    default:
      throw new UnsupportedConstruct(`the method ${name}() of a dict`);
  }
}

function listMethod(list: readonly Value[], name: string): Value {
  switch (name) {
    case "count":
      return new Callable("count", ([item = null]) => list.filter((other) => isEqual(item, other)).length);
    case "index":
      return new Callable("index", ([item = null, ...bounds]) => {
        if (bounds.length > 0) throw new UnsupportedConstruct("index() with bounds");
        const at = list.findIndex((other) => isEqual(item, other));
        if (at < 0) throw new TemplateError("an item is not in the list");
        return toInteger(BigInt(at));
      });
    default:
      return new Callable("copy", () => list);
  }
}
