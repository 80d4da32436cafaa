import { evaluate } from "./evaluate-expression.js";
import { Scope } from "./scope.js";
import type { Body, Parameter } from "./syntax/syntax-tree.js";
import { TemplateError } from "./template-error.js";
import { Callable, Tuple, Undefined } from "./values.js";

interface MacroParts {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
}

/**
 * A macro as a function. It sees the variables around its definition.
 *
 * @param render writes the macro's body
 */
export function makeMacro(
  { name, parameters, body }: MacroParts,
  scope: Scope,
  render: (body: Body, scope: Scope) => string,
): Callable {
  const declared = new Set(parameters.map((parameter) => parameter.name));
  // A macro takes more than its parameters only where its body reads what holds them.
  const reads = (special: string): boolean => !declared.has(special) && mentions(body, special);
  const [takesMore, takesNamed, takesCaller] = [reads("varargs"), reads("kwargs"), reads("caller")];
  return new Callable(name, (args, named) => {
    if (args.length > parameters.length && !takesMore) {
      throw new TemplateError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
    }
    const inner = new Scope(scope);
    const rest = new Map(named);
    for (const [i, { name: parameter, fallback }] of parameters.entries()) {
      let value = args[i];
      if (rest.has(parameter)) {
        if (value !== undefined) throw new TemplateError(`macro '${name}' got '${parameter}' twice`);
        value = rest.get(parameter);
        rest.delete(parameter);
      }
      if (value === undefined) {
        value = fallback === null ? new Undefined(`parameter '${parameter}'`) : evaluate(fallback, inner);
      }
      inner.set(parameter, value);
    }
    if (takesCaller) inner.set("caller", rest.get("caller") ?? new Undefined("No caller defined"));
    if (takesCaller) rest.delete("caller");
    if (takesMore) inner.set("varargs", new Tuple(args.slice(parameters.length)));
    if (takesNamed) inner.set("kwargs", rest);
    else if (rest.size > 0) {
      throw new TemplateError(`macro '${name}' takes no keyword argument '${[...rest.keys()].join("', '")}'`);
    }
    return render(body, inner);
  });
}

/** Whether a tree has a variable of this name. */
function mentions(tree: unknown, name: string): boolean {
  if (typeof tree !== "object" || tree === null) return false;
  if ("type" in tree && tree.type === "name" && "name" in tree) return tree.name === name;
  return Object.values(tree).some((part) => mentions(part, name));
}
