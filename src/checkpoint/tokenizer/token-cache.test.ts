import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { encodeDocuments, tokenCacheFolder } from "./token-cache.js";
import { Tokenizer } from "./tokenizer.js";

async function tokenizerOf(name: string): Promise<Tokenizer> {
  using folder = temporaryFolder();
  const golden = JSON.parse(readFileSync(new URL(`../testing/tokenizers/${name}.json`, import.meta.url), "utf8"));
  writeFileSync(join(folder.path, "tokenizer.json"), JSON.stringify(golden.tokenizer));
  return await Tokenizer.open(folder.path);
}

const documents = ["The Congress met.", "", "again and again"];

describe("encodeDocuments", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  it("encodes once, and again only for other texts, another cut into documents or another tokenizer", async () => {
    using folder = temporaryFolder();
    const options = { folder: join(folder.path, "cache") };
    const tokenizer = await tokenizerOf("gpt2");
    const expected = documents.map((text) => tokenizer.encode(text));
    const encode = vi.spyOn(tokenizer, "encode");
    expect(await encodeDocuments(tokenizer, documents, options)).toEqual(expected);
    expect(encode).toHaveBeenCalledTimes(3);
    expect(await encodeDocuments(tokenizer, documents, options)).toEqual(expected);
    expect(encode).toHaveBeenCalledTimes(3);
    await encodeDocuments(tokenizer, [documents.join("")], options);
    expect(encode).toHaveBeenCalledTimes(4);
    const other = await tokenizerOf("llama3");
    const again = vi.spyOn(other, "encode");
    await encodeDocuments(other, documents, options);
    expect(again).toHaveBeenCalledTimes(3);
    expect(readdirSync(options.folder).length).toBe(3);
  });

  it("does damaged entries again: any flipped byte, any length", async () => {
    using folder = temporaryFolder();
    const options = { folder: folder.path };
    const tokenizer = await tokenizerOf("gpt2");
    const expected = await encodeDocuments(tokenizer, documents, options);
    const path = join(folder.path, readdirSync(folder.path)[0] ?? "");
    const good = readFileSync(path);
    const encode = vi.spyOn(tokenizer, "encode");
    const bad: Uint8Array[] = [0, 5, 8, good.length >> 1, good.length - 1, good.length + 9].map((length) => {
      const bytes = new Uint8Array(length);
      bytes.set(good.subarray(0, length));
      return bytes;
    });
    for (let i = 0; i < good.length; i += 7) {
      const bytes = new Uint8Array(good);
      bytes[i] = (bytes[i] ?? 0) ^ 0x10;
      bad.push(bytes);
    }
    for (const [i, bytes] of bad.entries()) {
      writeFileSync(path, bytes);
      expect(await encodeDocuments(tokenizer, documents, options)).toEqual(expected);
      expect(encode).toHaveBeenCalledTimes(3 * (i + 1));
      expect(readFileSync(path).equals(good)).toBe(true);
    }
  });

  it("keeps more documents than a call has room for arguments", async () => {
    using folder = temporaryFolder();
    const tokenizer = await tokenizerOf("gpt2");
    const many = Array.from({ length: 200_000 }, (_, i) => (i % 2 === 0 ? "a" : "b"));
    const encode = vi.spyOn(tokenizer, "encode").mockReturnValue(Int32Array.of(5));
    const first = await encodeDocuments(tokenizer, many, { folder: folder.path });
    expect(readdirSync(folder.path)).toHaveLength(1);
    encode.mockClear();
    const again = await encodeDocuments(tokenizer, many, { folder: folder.path });
    expect(encode).not.toHaveBeenCalled();
    expect(again).toHaveLength(first.length);
    expect(again.at(-1)).toEqual(Int32Array.of(5));
  });

  it("works without a cache and where none can be written", async () => {
    using folder = temporaryFolder();
    const tokenizer = await tokenizerOf("gpt2");
    const expected = documents.map((text) => tokenizer.encode(text));
    expect(await encodeDocuments(tokenizer, documents, { folder: null })).toEqual(expected);
    writeFileSync(join(folder.path, "file"), "");
    expect(await encodeDocuments(tokenizer, documents, { folder: join(folder.path, "file", "x") })).toEqual(expected);
    expect(readdirSync(folder.path)).toEqual(["file"]);
  });

  it("stops between documents", async () => {
    const tokenizer = await tokenizerOf("gpt2");
    const controller = new AbortController();
    const encode = vi.spyOn(tokenizer, "encode");
    const running = encodeDocuments(tokenizer, documents, { folder: null, signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toThrow(/abort/i);
    expect(encode.mock.calls.length).toBeLessThan(3);
  });

  it("lives in the user's cache folder", () => {
    vi.stubEnv("XDG_CACHE_HOME", "/somewhere");
    expect(tokenCacheFolder()).toBe("/somewhere/crossblock/tokens");
    vi.stubEnv("XDG_CACHE_HOME", "relative");
    vi.stubEnv("HOME", "/home/me");
    expect(tokenCacheFolder()).toBe("/home/me/.cache/crossblock/tokens");
  });
});
