import { TemplateError } from "../template-error.js";
import type { Value } from "../values.js";

/**
 * The arguments of a call in the order of the function's parameters; undefined where one was not given.
 *
 * @param required how many of the parameters have no default
 * @throws TemplateError as Python does: too many, unknown, given twice, or missing.
 */
export function bindArguments(
  name: string,
  parameters: readonly string[],
  args: readonly Value[],
  named: ReadonlyMap<string, Value>,
  required = 0,
): readonly (Value | undefined)[] {
  if (args.length > parameters.length) {
    throw new TemplateError(`${name}() takes at most ${parameters.length} arguments (${args.length} given)`);
  }
  const bound: (Value | undefined)[] = parameters.map((_, i) => args[i]);
  for (const [key, value] of named) {
    const at = parameters.indexOf(key);
    if (at < 0) throw new TemplateError(`${name}() got an unexpected keyword argument '${key}'`);
    if (bound[at] !== undefined) throw new TemplateError(`${name}() got multiple values for argument '${key}'`);
    bound[at] = value;
  }
  const lacking = parameters.findIndex((_, i) => i < required && bound[i] === undefined);
  if (lacking >= 0) throw new TemplateError(`${name}() lacks the argument '${parameters[lacking]}'`);
  return bound;
}
