import fc from "fast-check";
import { expect } from "vitest";
import { InputError } from "../../errors.js";

/** Cases of each test and the seed of all: `npm run fuzz` sets more of them, and a seed repeats a run. */
export const cases = Number(process.env["CROSSBLOCK_FUZZ_CASES"] ?? 500);
export const seed = Number(process.env["CROSSBLOCK_FUZZ_SEED"] ?? Date.now() % 2 ** 31);

/** What is done to the bytes of a file. Positions are fractions of its length, so that shrinking works. */
export type Mutation = (bytes: Uint8Array) => Uint8Array;

const at = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const place = (bytes: Uint8Array, where: number): number => Math.floor(where * bytes.length);
const splice = (bytes: Uint8Array, start: number, end: number, insert: Uint8Array): Uint8Array =>
  new Uint8Array([...bytes.subarray(0, start), ...insert, ...bytes.subarray(end)]);

/** Texts that attack parsers: they replace a number, a string or a piece of JSON. */
const poison = [
  "-1",
  "0",
  "1e999",
  "1.5",
  "9007199254740993",
  "18446744073709551615",
  "4294967296",
  "null",
  "{}",
  "[]",
  '""',
  "true",
  '"__proto__"',
  '"constructor"',
  '"../outside.safetensors"',
  '"/etc/passwd"',
  '"link.safetensors"',
  '"F64"',
  '"F4"',
  `${"[".repeat(5000)}`,
  `${'{"a":'.repeat(3000)}`,
  '"\\ud800"',
  `"${"x".repeat(2000)}"`,
  "\u0000",
  "[99999999999,99999999999]",
].map((text) => new TextEncoder().encode(text));

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(at, fc.nat(255)).map(
    ([where, value]): Mutation =>
      (bytes) => {
        const copy = new Uint8Array(bytes);
        copy[place(bytes, where)] = value;
        return copy;
      },
  ),
  at.map(
    (where): Mutation =>
      (bytes) =>
        bytes.slice(0, place(bytes, where)),
  ),
  fc.uint8Array({ maxLength: 40 }).map(
    (more): Mutation =>
      (bytes) =>
        splice(bytes, bytes.length, bytes.length, more),
  ),
  fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .chain((big) => fc.constantFrom(big, big % 4096n, 100_000_000n))
    .map(
      (length): Mutation =>
        (bytes) => {
          const copy = new Uint8Array(Math.max(8, bytes.length));
          copy.set(bytes);
          new DataView(copy.buffer).setBigUint64(0, length, true);
          return copy;
        },
    ),
  fc.tuple(at, at, at).map(
    ([from, to, target]): Mutation =>
      (bytes) => {
        const [a, b] = [place(bytes, from), place(bytes, to)].sort((x, y) => x - y);
        const where = place(bytes, target);
        return splice(bytes, where, where, bytes.slice(a, b));
      },
  ),
  // A token of the JSON (number or string), wherever the fraction falls, replaced by a poisonous one.
  fc.tuple(at, fc.constantFrom(...poison)).map(
    ([where, value]): Mutation =>
      (bytes) => {
        const text = Buffer.from(bytes).toString("latin1");
        const tokens = [...text.matchAll(/"[^"]*"|\d+/g)];
        const token = tokens[place(new Uint8Array(tokens.length), where)];
        const start = token?.index ?? 0;
        return splice(bytes, start, start + (token?.[0].length ?? 0), value);
      },
  ),
);

/** The length of a safetensors header made to fit again, so that mutations reach behind that first check. */
export const repaired: Mutation = (bytes) => {
  const brace = bytes.lastIndexOf(0x7d);
  if (bytes.length < 9 || brace < 8) return bytes;
  const copy = new Uint8Array(bytes);
  new DataView(copy.buffer).setBigUint64(0, BigInt(brace - 7), true);
  return copy;
};

/** One to four mutations, and whether the length of a safetensors header is made to fit afterwards. */
export const mutated = fc.record({
  mutations: fc.array(mutation, { minLength: 1, maxLength: 4 }),
  repair: fc.boolean(),
});

/** A file's bytes after all of the mutations. */
export function mutate(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  return mutations.reduce((current, mutation) => mutation(current), bytes);
}

/** Runs `work`, which may throw errors of bad input only, printable ones with a next action. */
export async function onlyTypedErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.next.length).toBeGreaterThan(10);
    expect(error.message.length).toBeLessThan(2000);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  }
}
