import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { InputError } from "../errors.js";
import { Checkpoint } from "./checkpoint.js";
import { readModelConfig } from "./model-config.js";
import { temporaryFolder } from "./testing/temporary-folder.js";
import { Tokenizer } from "./tokenizer.js";
import { writeSafetensors } from "./write-safetensors.js";

/** Cases in all; the nightly run sets more. fast-check prints the seed and the smallest failing case. */
const cases = Number(process.env["CROSSBLOCK_FUZZ_CASES"] ?? 500);

/** What is done to the bytes of a file. Positions are fractions of its length, so that shrinking works. */
type Mutation = (bytes: Uint8Array) => Uint8Array;

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

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
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
const repaired: Mutation = (bytes) => {
  const brace = bytes.lastIndexOf(0x7d);
  if (bytes.length < 9 || brace < 8) return bytes;
  const copy = new Uint8Array(bytes);
  new DataView(copy.buffer).setBigUint64(0, BigInt(brace - 7), true);
  return copy;
};

const mutated = fc.record({ mutations: fc.array(mutation, { minLength: 1, maxLength: 4 }), repair: fc.boolean() });

function mutate(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  return mutations.reduce((current, mutation) => mutation(current), bytes);
}

async function onlyTypedErrors(work: () => Promise<void>): Promise<void> {
  // Processor time: other processes of the machine don't count.
  const started = process.cpuUsage();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.next.length).toBeGreaterThan(10);
    expect(error.message.length).toBeLessThan(2000);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  }
  expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
}

/** Opens the folder's weights and reads everything; nothing may come from outside and nothing be larger than the files. */
async function readAll(folder: string, size: number): Promise<void> {
  let allocated = 0;
  const allocate = Buffer.allocUnsafeSlow.bind(Buffer);
  vi.spyOn(Buffer, "allocUnsafeSlow").mockImplementation((bytes) => {
    allocated += bytes;
    return allocate(bytes);
  });
  try {
    using checkpoint = await Checkpoint.open(folder);
    for (const name of checkpoint.tensors.keys()) {
      const bytes = await checkpoint.read(name);
      // 0xee is what the file outside the folder is filled with.
      if (bytes.includes(0xee) && bytes.every((byte) => byte === 0xee)) throw new Error(`read outside: ${name}`);
    }
  } finally {
    expect(allocated).toBeLessThanOrEqual(4 * size);
    vi.restoreAllMocks();
  }
}

async function weights(folder: string, fill: number, maxShardBytes?: number): Promise<void> {
  const tensors = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"].map((name) => ({
    name,
    dtype: "BF16" as const,
    shape: [4, 8],
    byteLength: 64,
    bytes: () => new Uint8Array(64).fill(fill),
  }));
  await writeSafetensors(folder, tensors, maxShardBytes === undefined ? {} : { maxShardBytes });
}

describe("hostile input", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it(`gives typed errors only, small buffers and no look outside: ${cases} mutated safetensors files`, async () => {
    using folder = temporaryFolder();
    await weights(folder.path, 1);
    const path = join(folder.path, "model.safetensors");
    const good = new Uint8Array(readFileSync(path));
    await fc.assert(
      fc.asyncProperty(mutated, async ({ mutations, repair }) => {
        let bytes = mutate(good, mutations);
        if (repair) bytes = repaired(bytes);
        writeFileSync(path, bytes);
        await onlyTypedErrors(() => readAll(folder.path, bytes.length));
      }),
      { numRuns: cases },
    );
  });

  it(`the same for ${cases} mutated indexes`, async () => {
    using folder = temporaryFolder();
    const model = join(folder.path, "model");
    mkdirSync(model);
    await weights(folder.path, 0xee);
    const outside = join(folder.path, "model.safetensors");
    writeFileSync(join(folder.path, "outside.safetensors"), readFileSync(outside));
    await weights(model, 1, 64);
    symlinkSync(outside, join(model, "link.safetensors"));
    const path = join(model, "model.safetensors.index.json");
    const good = new Uint8Array(readFileSync(path));
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        const bytes = mutate(good, mutations);
        writeFileSync(path, bytes);
        await onlyTypedErrors(() => readAll(model, 600 + bytes.length));
      }),
      { numRuns: cases },
    );
    // The canary works: everything in the file outside, through a link or a path, and the refusal names it.
    const names = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"];
    for (const target of ["link.safetensors", "../outside.safetensors", join(folder.path, "outside.safetensors")]) {
      writeFileSync(path, JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, target])) }));
      await expect(readAll(model, 1e6)).rejects.toThrow(basename(target));
    }
  });

  it(`the same for ${cases} mutated config.json`, async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "config.json");
    const config = {
      model_type: "llama",
      hidden_size: 64,
      rope_scaling: { factor: 8, rope_type: "llama3" },
      eos_token_id: [1, 2],
    };
    const good = new TextEncoder().encode(JSON.stringify(config));
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        writeFileSync(path, mutate(good, mutations));
        await onlyTypedErrors(async () => {
          await readModelConfig(folder.path);
        });
      }),
      { numRuns: cases },
    );
  });

  it(`the same for ${cases} mutated tokenizers, opened and used`, async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const goldens = new URL("./testing/tokenizers/", import.meta.url);
    const good = ["llama3", "mistral", "gpt2-prefix-space"].map((name) => {
      const { tokenizer } = JSON.parse(readFileSync(new URL(`${name}.json`, goldens), "utf8"));
      // Less vocabulary, so that most mutations hit the structure.
      const vocab = Object.fromEntries(Object.entries(tokenizer.model.vocab).slice(0, 60));
      const model = { ...tokenizer.model, vocab, merges: tokenizer.model.merges.slice(0, 20) };
      return new TextEncoder().encode(JSON.stringify({ ...tokenizer, model }));
    });
    using folder = temporaryFolder();
    const path = join(folder.path, "tokenizer.json");
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...good),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        async (base, mutations) => {
          writeFileSync(path, mutate(base, mutations));
          await onlyTypedErrors(async () => {
            const tokenizer = await Tokenizer.open(folder.path);
            const ids = tokenizer.encode("<s> The 1st text, <|end|> naïve 日本");
            expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
            tokenizer.decode(ids, { skipSpecialTokens: true });
          });
        },
      ),
      { numRuns: cases },
    );
  });
});
