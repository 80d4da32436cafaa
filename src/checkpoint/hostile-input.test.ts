import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Checkpoint } from "./checkpoint.js";
import { readModelConfig } from "./model-config.js";
import { writeSafetensors } from "./safetensors/write-safetensors.js";
import { cases, mutate, mutated, mutation, onlyTypedErrors, repaired, seed } from "./testing/fuzz.js";
import { temporaryFolder } from "./testing/temporary-folder.js";
import { Tokenizer } from "./tokenizer/tokenizer.js";

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

describe(`hostile input (seed ${seed})`, () => {
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
      { numRuns: cases, seed },
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
      { numRuns: cases, seed },
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
      { numRuns: cases, seed },
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
      { numRuns: cases, seed },
    );
  });
});
