import type { Value } from "./values.js";

/** The variables of a block, and those around it. A macro sees those around its definition as they are when it runs. */
export class Scope {
  readonly #variables = new Map<string, Value>();
  readonly #outer: Scope | null;

  constructor(outer: Scope | null, variables: Iterable<readonly [string, Value]> = []) {
    this.#outer = outer;
    for (const [name, value] of variables) this.#variables.set(name, value);
  }

  get(name: string): Value | undefined {
    const own = this.#variables.get(name);
    return own === undefined && this.#outer !== null ? this.#outer.get(name) : own;
  }

  /** Sets a variable of this block; one of the same name around it stays. */
  set(name: string, value: Value): void {
    this.#variables.set(name, value);
  }
}
