import { TemplateError, UnsupportedConstruct } from "../template-error.js";
import {
  Callable,
  isDict,
  isList,
  iterate,
  Namespace,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "../values.js";
import { textOf } from "../write-value.js";
import { bindArguments } from "./call-arguments.js";
import { formatDate } from "./format-date.js";

/** As many items as the sandbox allows a range. */
const longestRange = 100_000;

/** What every template can call: Jinja's functions and those that transformers adds. */
export const globals: readonly (readonly [string, Value])[] = [
  new Callable("range", (args) => range(args)),
  new Callable("dict", (args, named) => new Map([...entries(args, "dict"), ...named])),
  new Callable("namespace", (args, named) => newNamespace(new Map([...entries(args, "namespace"), ...named]))),
  new Callable("raise_exception", (args, named) => {
    const [message = null] = bindArguments("raise_exception", ["message"], args, named, 1);
    throw new TemplateError(textOf(message));
  }),
  new Callable("strftime_now", (args, named) => {
    const [format = null] = bindArguments("strftime_now", ["format"], args, named, 1);
    if (typeof format !== "string")
      throw new TemplateError(`strftime() argument 1 must be str, not ${typeName(format)}`);
    return formatDate(format);
  }),
  ...["cycler", "joiner", "lipsum", "self"].map(
    (name) =>
      new Callable(name, () => {
        throw new UnsupportedConstruct(`the function ${name}()`);
      }),
  ),
].map((callable) => [callable.name, callable] as const);

function range(args: readonly Value[]): View {
  const numbers = args.map((argument) => {
    if (argument instanceof Undefined) throw argument.error();
    if (typeof argument !== "number" && typeof argument !== "boolean") {
      throw new TemplateError(`'${typeName(argument)}' object cannot be interpreted as an integer`);
    }
    return Number(argument);
  });
  if (numbers.length === 0 || numbers.length > 3) throw new TemplateError("range() takes one to three numbers");
  const [start = 0, stop = 0, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  if (step === 0) throw new TemplateError("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > longestRange) throw new TemplateError(`a range of more than ${longestRange} items`);
  const written = `range(${start}, ${stop}${step === 1 ? "" : `, ${step}`})`;
  return new View(
    "range",
    Array.from({ length }, (_, i) => start + i * step),
    written,
  );
}

/** The entries of a dictionary, or of pairs. */
function entries(args: readonly Value[], name: string): [string, Value][] {
  const [source, ...more] = args;
  if (more.length > 0) throw new TemplateError(`${name} expected at most 1 argument, got ${args.length}`);
  if (source === undefined) return [];
  const pairs = isDict(source) ? [...source].map((pair) => new Tuple(pair)) : iterate(source);
  return pairs.map((pair) => {
    const [key, value] = pair instanceof Tuple ? pair.items : isList(pair) ? pair : [];
    if (typeof key !== "string" || value === undefined)
      throw new TemplateError(`${name}() takes pairs of a text and a value`);
    return [key, value];
  });
}

function newNamespace(attributes: Map<string, Value>): Namespace {
  for (const name of attributes.keys()) checkAttributeName(name);
  return new Namespace(attributes);
}

/** transformers keeps names that begin with an underscore from namespaces. */
export function checkAttributeName(name: string): void {
  if (name.startsWith("_")) throw new TemplateError(`a namespace can't have the attribute '${name}'`);
}
