import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import { Iterator, isTrue, iterate, Undefined, type Value } from "../values.js";
import { bindArguments } from "./call-arguments.js";
import type { Filter, Named, OpenFilter } from "./filter.js";
import { attribute, type Getter, listFilters } from "./list-filters.js";
import { numberFilters } from "./number-filters.js";
import { textFilters } from "./text-filters.js";

const filters: ReadonlyMap<string, Filter | OpenFilter> = new Map<string, Filter | OpenFilter>([
  ...Object.entries(textFilters),
  ...Object.entries(numberFilters),
  ...Object.entries(listFilters),
  ["map", map],
  ["default", [["default_value", "boolean"], 0, withDefault]],
  ["d", [["default_value", "boolean"], 0, withDefault]],
]);

/**
 * `value | name(args)`
 *
 * @throws UnsupportedConstruct for a filter that is not in the table.
 */
export function applyFilter(name: string, value: Value, args: readonly Value[], named: Named): Value {
  const filter = filters.get(name);
  if (filter === undefined) throw new UnsupportedConstruct(`the filter '${name}'`);
  if (typeof filter === "function") return filter(value, args, named);
  const [parameters, required, run] = filter;
  return run(value, bindArguments(name, parameters, args, named, required));
}

function withDefault(value: Value, [fallback = "", boolean = false]: readonly (Value | undefined)[]): Value {
  return value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? fallback : value;
}

function map(value: Value, args: readonly Value[], named: Named): Value {
  const path = named.get("attribute");
  let run: Getter;
  if (args.length === 0 && path !== undefined) {
    const unknown = [...named.keys()].find((key) => key !== "attribute" && key !== "default");
    if (unknown !== undefined) throw new TemplateError(`Unexpected keyword argument '${unknown}'`);
    run = attribute(path, named.get("default") ?? null);
  } else {
    const [name, ...rest] = args;
    if (typeof name !== "string") throw new TemplateError("map requires a filter argument");
    run = (item) => applyFilter(name, item, rest, named);
  }
  return new Iterator(isTrue(value) ? iterate(value).map(run) : []);
}
