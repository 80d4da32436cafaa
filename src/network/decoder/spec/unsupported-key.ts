import { ModelError } from "../../../errors.js";

/** The error for a value of `config.json` that the decoder does not compute; `supported` completes "use a model with KEY". */
export function unsupportedKey(key: string, value: string, supported: string): ModelError {
  return new ModelError({
    where: "config.json",
    what: `${key} is ${value}, which crossblock does not compute`,
    next: `use a model with ${key} ${supported}`,
  });
}
