import { itemOf } from "../access.js";
import { calculate } from "../arithmetic.js";
import { characters } from "../python-text.js";
import { TemplateError } from "../template-error.js";
import {
  compare,
  Iterator,
  isDict,
  isEqual,
  isList,
  isTrue,
  iterate,
  lengthOfValue,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "../values.js";
import { textOf } from "../write-value.js";
import type { Filter, Named, OpenFilter } from "./filter.js";
import { passesTest } from "./value-tests.js";

export type Getter = (item: Value) => Value;

/** Jinja's filters of lists, dictionaries and what else has items. */
export const listFilters: Readonly<Record<string, Filter | OpenFilter>> = {
  length: [[], 0, lengthOfValue],
  count: [[], 0, lengthOfValue],
  list: [[], 0, (value) => [...iterate(value)]],
  first: [[], 0, first],
  last: [[], 0, last],
  reverse: [[], 0, reverse],
  join: [["d", "attribute"], 0, (value, [separator = "", attribute]) => join(value, separator, attribute)],
  items: [[], 0, items],
  sort: [["reverse", "case_sensitive", "attribute"], 0, sort],
  dictsort: [["case_sensitive", "by", "reverse"], 0, sortDict],
  unique: [["case_sensitive", "attribute"], 0, unique],
  min: [["case_sensitive", "attribute"], 0, (value, args) => extreme(value, args, -1)],
  max: [["case_sensitive", "attribute"], 0, (value, args) => extreme(value, args, 1)],
  sum: [["attribute", "start"], 0, (value, [attribute, start = 0]) => sum(value, attribute, start)],
  select: (value, args, named) => choose(value, (item) => item, args, named, true),
  reject: (value, args, named) => choose(value, (item) => item, args, named, false),
  selectattr: (value, [name = null, ...args], named) => choose(value, attribute(name), args, named, true),
  rejectattr: (value, [name = null, ...args], named) => choose(value, attribute(name), args, named, false),
};

/** What reads `a.b.0` of an item. */
export function attribute(path: Value, fallback: Value = null): Getter {
  const keys: Value[] =
    typeof path === "string" ? path.split(".").map((key) => (/^\d+$/.test(key) ? Number(key) : key)) : [path];
  return (item) => {
    let value = item;
    for (const key of keys) {
      value = itemOf(value, key);
      if (fallback !== null && value instanceof Undefined) value = fallback;
    }
    return value;
  };
}

/** What sorts: the item or its attribute, in small letters where case does not count. */
function sortKey(caseSensitive: Value, path: Value | undefined): Getter {
  const get = path === undefined || path === null ? (item: Value): Value => item : attribute(path);
  return (item) => {
    const value = get(item);
    return typeof value === "string" && !isTrue(caseSensitive) ? value.toLowerCase() : value;
  };
}

function first(value: Value): Value {
  const item = value instanceof Iterator ? value.takeFirst() : iterate(value)[0];
  return item === undefined ? new Undefined("the first item of an empty sequence") : item;
}

function last(value: Value): Value {
  if (value instanceof Iterator) {
    throw new TemplateError(`'${typeName(value)}' object is not reversible`);
  }
  const item = iterate(value).at(-1);
  return item === undefined ? new Undefined("the last item of an empty sequence") : item;
}

function reverse(value: Value): Value {
  if (typeof value === "string") return characters(value).reverse().join("");
  const reversed = [...iterate(value)].reverse();
  return value instanceof Iterator ? reversed : new Iterator(reversed);
}

function join(value: Value, separator: Value, path: Value | undefined): string {
  const get = path === undefined || path === null ? (item: Value): Value => item : attribute(path);
  return iterate(value)
    .map((item) => textOf(get(item)))
    .join(textOf(separator));
}

function items(value: Value): Value {
  if (value instanceof Undefined) return new Iterator([]);
  if (!isDict(value)) throw new TemplateError("Can only get item pairs from a mapping.");
  return new Iterator([...value].map((pair) => new Tuple(pair)));
}

function sorted(values: readonly Value[], key: Getter, isReverse: boolean): Value[] {
  const keyed = values.map((value) => [key(value), value] as const);
  return keyed.sort(([a], [b]) => (isReverse ? compare(b, a) : compare(a, b))).map(([, value]) => value);
}

function sort(value: Value, [isReverse = false, caseSensitive = false, path]: readonly (Value | undefined)[]): Value {
  const paths = typeof path === "string" ? path.split(",") : [path];
  if (paths.length === 1) return sorted(iterate(value), sortKey(caseSensitive, path), isTrue(isReverse));
  const keys = paths.map((each) => sortKey(caseSensitive, each));
  return sorted(iterate(value), (item) => keys.map((key) => key(item)), isTrue(isReverse));
}

function sortDict(
  value: Value,
  [caseSensitive = false, by = "key", isReverse = false]: readonly (Value | undefined)[],
): Value {
  if (!isDict(value)) throw new TemplateError(`'${typeName(value)}' object has no items`);
  if (by !== "key" && by !== "value") throw new TemplateError('You can only sort by either "key" or "value"');
  const key = sortKey(caseSensitive, by === "key" ? 0 : 1);
  return sorted(
    [...value].map((pair) => new Tuple(pair)),
    key,
    isTrue(isReverse),
  );
}

function unique(value: Value, [caseSensitive = false, path]: readonly (Value | undefined)[]): Value {
  const key = sortKey(caseSensitive, path);
  const seen: Value[] = [];
  const kept = iterate(value).filter((item) => {
    const own = key(item);
    if (isList(own) || isDict(own)) throw new TemplateError(`unhashable type: '${typeName(own)}'`);
    if (seen.some((other) => isEqual(own, other))) return false;
    seen.push(own);
    return true;
  });
  return new Iterator(kept);
}

function extreme(value: Value, [caseSensitive = false, path]: readonly (Value | undefined)[], sign: number): Value {
  const key = sortKey(caseSensitive, path);
  let best: Value | undefined;
  for (const item of iterate(value)) {
    if (best === undefined || compare(key(item), key(best)) * sign > 0) best = item;
  }
  return best === undefined ? new Undefined("the extreme of an empty sequence") : best;
}

function sum(value: Value, path: Value | undefined, start: Value): Value {
  const get = path === undefined || path === null ? (item: Value): Value => item : attribute(path);
  return iterate(value).reduce<Value>((total, item) => calculate("+", total, get(item)), start);
}

function choose(value: Value, get: Getter, args: readonly Value[], named: Named, keeps: boolean): Value {
  const [name, ...rest] = args;
  if (name !== undefined && typeof name !== "string") throw new TemplateError("a test is named by a text");
  const passes = (item: Value): boolean => (name === undefined ? isTrue(item) : passesTest(name, item, rest, named));
  return new Iterator(isTrue(value) ? iterate(value).filter((item) => passes(get(item)) === keeps) : []);
}
