import { UnsupportedConstruct } from "../template-error.js";
import { Float } from "../values.js";
import type {
  Arguments,
  ArithmeticOperator,
  Comparison,
  ComparisonOperator,
  Expression,
  FilterStep,
} from "./syntax-tree.js";
import type { TokenReader } from "./token-reader.js";

const constants: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

/** An expression, `a if b else c` included. */
export function parseExpression(tokens: TokenReader): Expression {
  let then = parseOr(tokens);
  while (tokens.skip("name", "if")) {
    const test = parseOr(tokens);
    const otherwise = tokens.skip("name", "else") ? parseExpression(tokens) : null;
    then = { type: "condition", test, then, otherwise };
  }
  return then;
}

/**
 * An expression, or several with commas between them.
 *
 * @param item what reads one
 * @param stop a name that ends the list after a comma
 */
export function parseTuple(
  tokens: TokenReader,
  item: (tokens: TokenReader) => Expression = parseExpression,
  mayBeEmpty = false,
  stop?: string,
): Expression {
  const items: Expression[] = [];
  let isTuple = false;
  const ends = (): boolean =>
    tokens.is("end") || tokens.is("operator", ")") || (stop !== undefined && tokens.is("name", stop));
  while (!ends()) {
    items.push(item(tokens));
    if (!tokens.skip("operator", ",")) break;
    isTuple = true;
  }
  const [only] = items;
  if (!isTuple && only !== undefined) return only;
  if (!isTuple && !mayBeEmpty) throw tokens.error("expected an expression");
  return { type: "tuple", items };
}

export function parseOr(tokens: TokenReader): Expression {
  let left = parseAnd(tokens);
  while (tokens.skip("name", "or")) left = { type: "or", left, right: parseAnd(tokens) };
  return left;
}

function parseAnd(tokens: TokenReader): Expression {
  let left = parseNot(tokens);
  while (tokens.skip("name", "and")) left = { type: "and", left, right: parseNot(tokens) };
  return left;
}

function parseNot(tokens: TokenReader): Expression {
  if (tokens.skip("name", "not")) return { type: "not", operand: parseNot(tokens) };
  return parseComparison(tokens);
}

function parseComparison(tokens: TokenReader): Expression {
  const first = parseSum(tokens);
  const rest: Comparison[] = [];
  for (;;) {
    const operator = comparisonOperator(tokens);
    if (operator === null) return rest.length === 0 ? first : { type: "comparison", first, rest };
    rest.push({ operator, operand: parseSum(tokens) });
  }
}

function comparisonOperator(tokens: TokenReader): ComparisonOperator | null {
  if (tokens.is("operator", "==", "!=", "<", "<=", ">", ">=")) return tokens.take().value as ComparisonOperator;
  if (tokens.skip("name", "in")) return "in";
  if (!tokens.is("name", "not") || tokens.next.kind !== "name" || tokens.next.value !== "in") return null;
  tokens.take();
  tokens.take();
  return "not in";
}

/** Left-associative operators of one rank, as Jinja has them: `**` too. */
function arithmetic(operators: readonly ArithmeticOperator[], operand: (tokens: TokenReader) => Expression) {
  return (tokens: TokenReader): Expression => {
    let left = operand(tokens);
    while (tokens.is("operator", ...operators)) {
      const operator = tokens.take().value as ArithmeticOperator;
      left = { type: "arithmetic", operator, left, right: operand(tokens) };
    }
    return left;
  };
}

const parsePower = arithmetic(["**"], (tokens) => parseUnary(tokens));
const parseProduct = arithmetic(["*", "/", "//", "%"], parsePower);
const parseSum = arithmetic(["+", "-"], parseConcatenation);

function parseConcatenation(tokens: TokenReader): Expression {
  const first = parseProduct(tokens);
  if (!tokens.is("operator", "~")) return first;
  const items = [first];
  while (tokens.skip("operator", "~")) items.push(parseProduct(tokens));
  return { type: "concatenation", items };
}

function parseUnary(tokens: TokenReader, withFilters = true): Expression {
  let value: Expression;
  if (tokens.skip("operator", "-")) value = { type: "negative", operand: parseUnary(tokens, false) };
  else if (tokens.skip("operator", "+")) value = { type: "positive", operand: parseUnary(tokens, false) };
  else value = parsePrimary(tokens);
  value = parsePostfix(tokens, value);
  return withFilters ? parseFilters(tokens, value) : value;
}

function parsePrimary(tokens: TokenReader): Expression {
  const { kind, value } = tokens.current;
  if (kind === "name") {
    tokens.take();
    const constant = constants.get(value);
    return constant === undefined ? { type: "name", name: value } : { type: "constant", value: constant };
  }
  if (kind === "string") {
    let text = "";
    while (tokens.is("string")) text += tokens.take().value;
    return { type: "constant", value: text };
  }
  if (kind === "integer" || kind === "float") {
    tokens.take();
    const digits = value.replaceAll("_", "");
    if (kind === "float") return { type: "constant", value: new Float(Number(digits)) };
    const number = BigInt(digits.toLowerCase());
    return { type: "constant", value: Number.isSafeInteger(Number(number)) ? Number(number) : number };
  }
  if (tokens.skip("operator", "(")) {
    const inner = parseTuple(tokens, parseExpression, true);
    tokens.expect("operator", ")");
    return inner;
  }
  if (tokens.skip("operator", "[")) return { type: "list", items: listed(tokens, "]", parseExpression) };
  if (tokens.skip("operator", "{")) {
    const entries = listed(tokens, "}", (reader) => {
      const key = parseExpression(reader);
      reader.expect("operator", ":");
      return [key, parseExpression(reader)] as const;
    });
    return { type: "dict", entries };
  }
  throw tokens.error("expected an expression");
}

/** Items with commas between them, and one after the last where the author likes. */
function listed<T>(tokens: TokenReader, close: string, item: (tokens: TokenReader) => T): T[] {
  const items: T[] = [];
  while (!tokens.is("operator", close)) {
    if (items.length > 0) tokens.expect("operator", ",");
    if (tokens.is("operator", close)) break;
    items.push(item(tokens));
  }
  tokens.expect("operator", close);
  return items;
}

export function parsePostfix(tokens: TokenReader, start: Expression): Expression {
  let value = start;
  for (;;) {
    if (tokens.skip("operator", ".")) {
      const { kind, value: name } = tokens.take();
      if (kind === "name") value = { type: "attribute", object: value, name };
      else if (kind === "integer") {
        value = { type: "item", object: value, key: { type: "constant", value: Number(name) } };
      } else throw tokens.error("expected a name after '.'");
    } else if (tokens.skip("operator", "[")) value = parseSubscript(tokens, value);
    else if (tokens.is("operator", "(")) value = { type: "call", callee: value, args: parseArguments(tokens) };
    else return value;
  }
}

function parseSubscript(tokens: TokenReader, object: Expression): Expression {
  const bounds: (Expression | null)[] = [null];
  if (!tokens.is("operator", ":")) bounds[0] = parseExpression(tokens);
  let isSlice = false;
  while (bounds.length < 3 && tokens.skip("operator", ":")) {
    isSlice = true;
    bounds.push(tokens.is("operator", ":", "]", ",") ? null : parseExpression(tokens));
  }
  if (tokens.is("operator", ",")) throw new UnsupportedConstruct("a subscript with a comma");
  tokens.expect("operator", "]");
  const [key] = bounds;
  return isSlice || key === null || key === undefined
    ? { type: "slice", object, bounds }
    : { type: "item", object, key };
}

function parseFilters(tokens: TokenReader, start: Expression): Expression {
  let value = start;
  for (;;) {
    if (tokens.skip("operator", "|")) value = { type: "filter", operand: value, ...parseFilterStep(tokens) };
    else if (tokens.skip("name", "is")) value = parseTest(tokens, value);
    // A filter's result can be called.
    else if (tokens.is("operator", "(")) value = { type: "call", callee: value, args: parseArguments(tokens) };
    else return value;
  }
}

const noArguments: Arguments = { positional: [], named: [], list: null, dict: null };

/** A filter's name and arguments. */
export function parseFilterStep(tokens: TokenReader): FilterStep {
  const name = dottedName(tokens);
  return { name, args: tokens.is("operator", "(") ? parseArguments(tokens) : noArguments };
}

function parseTest(tokens: TokenReader, operand: Expression): Expression {
  const isNegated = tokens.skip("name", "not");
  const name = dottedName(tokens);
  let args = noArguments;
  if (tokens.is("operator", "(")) args = parseArguments(tokens);
  else if (startsArgument(tokens)) {
    if (tokens.is("name", "is")) throw tokens.error("tests can't be chained with 'is'");
    args = { ...noArguments, positional: [parsePostfix(tokens, parsePrimary(tokens))] };
  }
  const test: Expression = { type: "test", name, operand, args };
  return isNegated ? { type: "not", operand: test } : test;
}

function startsArgument(tokens: TokenReader): boolean {
  if (tokens.is("name")) return !tokens.is("name", "else", "or", "and");
  return tokens.is("string") || tokens.is("integer") || tokens.is("float") || tokens.is("operator", "(", "[", "{");
}

function dottedName(tokens: TokenReader): string {
  let name = tokens.expect("name").value;
  while (tokens.skip("operator", ".")) name += `.${tokens.expect("name").value}`;
  return name;
}

/** The arguments of a call, parentheses included. */
export function parseArguments(tokens: TokenReader): Arguments {
  tokens.expect("operator", "(");
  const positional: Expression[] = [];
  const named: [string, Expression][] = [];
  let list: Expression | null = null;
  let dict: Expression | null = null;
  listed(tokens, ")", (reader) => {
    if (dict !== null) throw reader.error("nothing may follow '**'");
    if (reader.skip("operator", "**")) dict = parseExpression(reader);
    else if (reader.skip("operator", "*")) {
      if (list !== null) throw reader.error("'*' stands twice");
      list = parseExpression(reader);
    } else if (reader.is("name") && reader.next.kind === "operator" && reader.next.value === "=") {
      const name = reader.take().value;
      reader.take();
      named.push([name, parseExpression(reader)]);
    } else {
      if (named.length > 0 || list !== null) throw reader.error("a positional argument follows a named one");
      positional.push(parseExpression(reader));
    }
  });
  return { positional, named, list, dict };
}
