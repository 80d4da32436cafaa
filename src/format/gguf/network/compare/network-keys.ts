import type { GgufValue } from "../../file/layout.js";

/** A number that a file says, and what the network has. */
export type Fact = readonly [what: string, found: number, wanted: number];

/** Keys below the name of the architecture. */
export class NetworkKeys {
  readonly #architecture: string;

  constructor(private readonly metadata: ReadonlyMap<string, GgufValue>) {
    this.#architecture = String(scalar(metadata.get("general.architecture")) ?? "");
  }

  number(key: string, absent = Number.NaN): number {
    const value = scalar(this.metadata.get(`${this.#architecture}.${key}`));
    return value === undefined ? absent : Number(value);
  }

  /** Numbers of a list, flags as 0 and 1; null where the key has no list. */
  list(key: string): readonly number[] | null {
    const value = this.metadata.get(`${this.#architecture}.${key}`);
    return value?.type === "array" ? value.values.map(Number) : null;
  }

  text(key: string): string | null {
    const value = scalar(this.metadata.get(`${this.#architecture}.${key}`));
    return value === undefined ? null : String(value);
  }
}

function scalar(value: GgufValue | undefined): string | number | bigint | boolean | undefined {
  return value === undefined || value.type === "array" ? undefined : value.value;
}
