import { attributeOf, itemOf, sliceOf } from "./access.js";
import { calculate } from "./arithmetic.js";
import { applyFilter } from "./functions/filters.js";
import { passesTest } from "./functions/value-tests.js";
import type { Scope } from "./scope.js";
import type { Arguments, Comparison, Expression } from "./syntax/syntax-tree.js";
import { TemplateError, UnsupportedConstruct } from "./template-error.js";
import {
  Attributes,
  Callable,
  compare,
  contains,
  Float,
  isDict,
  isEqual,
  isTrue,
  iterate,
  type Key,
  keyOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";
import { textOf } from "./write-value.js";

/** What an expression is worth. */
export function evaluate(node: Expression, scope: Scope): Value {
  switch (node.type) {
    case "constant":
      return node.value;
    case "name": {
      const value = scope.get(node.name);
      return value === undefined ? new Undefined(`'${node.name}'`) : value;
    }
    case "list":
      return node.items.map((item) => evaluate(item, scope));
    case "tuple":
      return new Tuple(node.items.map((item) => evaluate(item, scope)));
    case "dict":
      return new Map(node.entries.map(([key, value]) => [newKey(evaluate(key, scope)), evaluate(value, scope)]));
    case "attribute":
      return attributeOf(evaluate(node.object, scope), node.name);
    case "item":
      return itemOf(evaluate(node.object, scope), evaluate(node.key, scope));
    case "slice":
      return sliceOf(
        evaluate(node.object, scope),
        node.bounds.map((bound) => (bound === null ? null : evaluate(bound, scope))),
      );
    case "call":
      return callValue(evaluate(node.callee, scope), ...evaluateArguments(node.args, scope));
    case "filter":
      return applyFilter(node.name, evaluate(node.operand, scope), ...evaluateArguments(node.args, scope));
    case "test":
      return passesTest(node.name, evaluate(node.operand, scope), ...evaluateArguments(node.args, scope));
    case "not":
      return !isTrue(evaluate(node.operand, scope));
    case "negative":
      return negated(evaluate(node.operand, scope));
    case "positive":
      return calculate("+", evaluate(node.operand, scope), 0);
    case "and": {
      const left = evaluate(node.left, scope);
      return isTrue(left) ? evaluate(node.right, scope) : left;
    }
    case "or": {
      const left = evaluate(node.left, scope);
      return isTrue(left) ? left : evaluate(node.right, scope);
    }
    case "arithmetic":
      return calculate(node.operator, evaluate(node.left, scope), evaluate(node.right, scope));
    case "concatenation":
      return node.items.map((item) => textOf(evaluate(item, scope))).join("");
    case "comparison":
      return comparison(evaluate(node.first, scope), node.rest, scope);
    case "condition":
      if (isTrue(evaluate(node.test, scope))) return evaluate(node.then, scope);
      return node.otherwise === null ? new Undefined("an if without else") : evaluate(node.otherwise, scope);
  }
}

function newKey(value: Value): Key {
  if (typeof value === "boolean" || value instanceof Float) {
    throw new UnsupportedConstruct(`a ${typeName(value)} as the key of a dictionary`);
  }
  return keyOf(value);
}

/** Positional and named arguments, those after `*` and `**` included. */
export function evaluateArguments(args: Arguments, scope: Scope): [Value[], ReadonlyMap<string, Value>] {
  const positional = args.positional.map((argument) => evaluate(argument, scope));
  if (args.list !== null) positional.push(...iterate(evaluate(args.list, scope)));
  const named = new Map<string, Value>();
  const add = (name: string, value: Value): void => {
    if (named.has(name)) throw new TemplateError(`the argument '${name}' is given twice`);
    named.set(name, value);
  };
  for (const [name, argument] of args.named) add(name, evaluate(argument, scope));
  if (args.dict !== null) {
    const dict = evaluate(args.dict, scope);
    if (!isDict(dict)) throw new TemplateError(`argument after ** must be a mapping, not ${typeName(dict)}`);
    for (const [name, value] of dict) add(String(name), value);
  }
  return [positional, named];
}

export function callValue(callee: Value, args: readonly Value[], named: ReadonlyMap<string, Value>): Value {
  if (callee instanceof Undefined) throw callee.error();
  if (callee instanceof Callable) return callee.call(args, named);
  if (callee instanceof Attributes && callee.call !== undefined) return callee.call(args, named);
  throw new TemplateError(`'${typeName(callee)}' object is not callable`);
}

function negated(value: Value): Value {
  // Zero minus a float zero would lose the sign.
  return calculate("*", value instanceof Tuple || typeof value === "string" ? null : value, -1);
}

/** `a < b < c` is true where each neighbouring pair is; what follows a false one is not computed. */
function comparison(first: Value, rest: readonly Comparison[], scope: Scope): boolean {
  let left = first;
  for (const { operator, operand } of rest) {
    const right = evaluate(operand, scope);
    if (!compares(left, operator, right)) return false;
    left = right;
  }
  return true;
}

function compares(left: Value, operator: Comparison["operator"], right: Value): boolean {
  switch (operator) {
    case "==":
      return isEqual(left, right);
    case "!=":
      return !isEqual(left, right);
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "<":
      return compare(left, right, operator) < 0;
    case "<=":
      return compare(left, right, operator) <= 0;
    case ">":
      return compare(left, right, operator) > 0;
    case ">=":
      return compare(left, right, operator) >= 0;
  }
}
