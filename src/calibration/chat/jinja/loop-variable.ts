import { TemplateError } from "./template-error.js";
import { Attributes, isEqual, Tuple, Undefined, type Value } from "./values.js";

/**
 * The variable `loop` of a loop over `items`.
 *
 * @param depth loops of the same tag around this one
 * @param recurse runs the loop over other items, where the tag says `recursive`
 * @returns what gives `loop` for an iteration, counted from 0
 */
export function loopVariable(
  items: readonly Value[],
  depth: number,
  recurse?: (children: Value) => Value,
): (index: number) => Attributes {
  const { length } = items;
  let last: Value | undefined;
  const call = recurse && (([children = null]: readonly Value[]): Value => recurse(children));
  return (index) => {
    const attributes: Readonly<Record<string, Value>> = {
      index: index + 1,
      index0: index,
      revindex: length - index,
      revindex0: length - index - 1,
      first: index === 0,
      last: index === length - 1,
      length,
      depth: depth + 1,
      depth0: depth,
      previtem: index === 0 ? new Undefined("the item before the first") : (items[index - 1] ?? null),
      nextitem: index === length - 1 ? new Undefined("the item after the last") : (items[index + 1] ?? null),
    };
    const methods: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
      cycle: (values) => {
        if (values.length === 0) throw new TemplateError("no items for cycling given");
        return values[index % values.length] ?? null;
      },
      changed: (values) => {
        const before = last;
        last = new Tuple(values);
        return before === undefined || !isEqual(before, last);
      },
    };
    const get = (name: string): Value | undefined => {
      const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (method !== undefined) return new Attributes("method", () => undefined, method);
      return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    };
    return new Attributes("LoopContext", get, call);
  };
}
