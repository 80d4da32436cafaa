import { callValue, evaluate, evaluateArguments } from "./evaluate-expression.js";
import { applyFilter } from "./functions/filters.js";
import { checkAttributeName, globals } from "./functions/globals.js";
import { loopVariable } from "./loop-variable.js";
import { makeMacro } from "./macro.js";
import { Scope } from "./scope.js";
import { parseTemplate } from "./syntax/parse-template.js";
import type { Body, Expression, FilterStep, Loop, Statement, Target } from "./syntax/syntax-tree.js";
import { TemplateError } from "./template-error.js";
import { isTrue, iterate, Namespace, type Value } from "./values.js";
import { textOf } from "./write-value.js";

/** How a list of statements ended: at its end, or on the way out of a loop. */
type Ending = "end" | "break" | "continue";

/**
 * A chat template, with the meaning that Python's Jinja gives it under transformers: `trim_blocks`, `lstrip_blocks`,
 * loop controls, the immutable sandbox, and a `tojson` that leaves every character as it is.
 */
export class Template {
  readonly #body: Body;

  /** @throws TemplateError for bad syntax; UnsupportedConstruct for a block that is not computed here. */
  constructor(source: string) {
    this.#body = guarded(() => parseTemplate(source));
  }

  /** @throws TemplateError where Python raises; UnsupportedConstruct for what is not computed here. */
  render(variables: Iterable<readonly [string, Value]>): string {
    const output: string[] = [];
    const scope = new Scope(new Scope(new Scope(null, globals), variables));
    guarded(() => run(this.#body, scope, output));
    return output.join("");
  }
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    // Too deep for the stack, or too long for a string.
    if (cause instanceof RangeError) throw new TemplateError(`the template goes too far: ${cause.message}`, { cause });
    throw cause;
  }
}

function run(body: Body, scope: Scope, output: string[]): Ending {
  for (const statement of body) {
    const ending = execute(statement, scope, output);
    if (ending !== "end") return ending;
  }
  return "end";
}

function execute(node: Statement, scope: Scope, output: string[]): Ending {
  switch (node.type) {
    case "text":
      output.push(node.text);
      return "end";
    case "output":
      output.push(written(node.value, scope));
      return "end";
    case "if": {
      const branch = node.branches.find(({ test }) => isTrue(evaluate(test, scope)));
      return run(branch?.body ?? node.otherwise, scope, output);
    }
    case "loop":
      runLoop(node, iterate(evaluate(node.items, scope)), scope, output, 0);
      return "end";
    case "break":
    case "continue":
      return node.type;
    case "set":
      assign(node.target, evaluate(node.value, scope), scope);
      return "end";
    case "set block": {
      const inner: string[] = [];
      const ending = run(node.body, new Scope(scope), inner);
      if (ending === "end") assign(node.target, filtered(inner.join(""), node.filters, scope), scope);
      return ending;
    }
    case "with": {
      const inner = new Scope(scope);
      // All values are computed outside before the first is set.
      const values = node.values.map(([target, value]) => [target, evaluate(value, scope)] as const);
      for (const [target, value] of values) assign(target, value, inner);
      return run(node.body, inner, output);
    }
    case "macro":
      scope.set(node.name, makeMacro(node, scope, renderBody));
      return "end";
    case "call block": {
      const caller = makeMacro({ name: "caller", parameters: node.parameters, body: node.body }, scope, renderBody);
      const [args, named] = evaluateArguments(node.call.args, scope);
      const callee = evaluate(node.call.callee, scope);
      output.push(textOf(callValue(callee, args, new Map([...named, ["caller", caller]]))));
      return "end";
    }
    case "filter block": {
      const inner: string[] = [];
      const ending = run(node.body, new Scope(scope), inner);
      if (ending === "end") output.push(textOf(filtered(inner.join(""), node.filters, scope)));
      return ending;
    }
    case "generation":
      output.push(renderBody(node.body, new Scope(scope)));
      return "end";
  }
}

function renderBody(body: Body, scope: Scope): string {
  const output: string[] = [];
  run(body, scope, output);
  return output.join("");
}

const webCharacters: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};

/**
 * The text of `{{ value }}`. `safe` and `escape` make a text of another kind, which alters whatever it is joined with;
 * here, at the very end, nothing is left that they could alter.
 */
function written(value: Expression, scope: Scope): string {
  if (value.type === "filter" && value.name === "safe") return written(value.operand, scope);
  if (value.type === "filter" && ["e", "escape"].includes(value.name) && value.operand.type !== "filter") {
    return textOf(evaluate(value.operand, scope)).replaceAll(/[&<>'"]/g, (char) => webCharacters[char] ?? char);
  }
  return textOf(evaluate(value, scope));
}

function filtered(text: string, filters: readonly FilterStep[], scope: Scope): Value {
  return filters.reduce<Value>(
    (value, { name, args }) => applyFilter(name, value, ...evaluateArguments(args, scope)),
    text,
  );
}

function runLoop(node: Loop, items: readonly Value[], scope: Scope, output: string[], depth: number): void {
  const chosen =
    node.test === null
      ? items
      : items.filter((item) => {
          const inner = new Scope(scope);
          assign(node.target, item, inner);
          return node.test !== null && isTrue(evaluate(node.test, inner));
        });
  const recurse = node.isRecursive
    ? (children: Value): Value => {
        const inner: string[] = [];
        runLoop(node, iterate(children), scope, inner, depth + 1);
        return inner.join("");
      }
    : undefined;
  const enter = loopVariable(chosen, depth, recurse);
  for (const [index, item] of chosen.entries()) {
    const inner = new Scope(scope, [["loop", enter(index)]]);
    assign(node.target, item, inner);
    if (run(node.body, inner, output) === "break") return;
  }
  if (chosen.length === 0) run(node.otherwise, new Scope(scope), output);
}

function assign(target: Target, value: Value, scope: Scope): void {
  if (target.type === "variable") scope.set(target.name, value);
  else if (target.type === "namespace") {
    const namespace = scope.get(target.object);
    if (!(namespace instanceof Namespace)) throw new TemplateError("cannot assign attribute on non-namespace object");
    checkAttributeName(target.name);
    namespace.attributes.set(target.name, value);
  } else {
    const items = iterate(value);
    if (items.length !== target.items.length) {
      throw new TemplateError(`${items.length} values to unpack into ${target.items.length} variables`);
    }
    for (const [i, part] of target.items.entries()) assign(part, items[i] ?? null, scope);
  }
}
