import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as zlib from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { CalibrationError } from "../../../errors.js";
import { type Document, type ReadingOptions, type ReadingWarning, readDocuments } from "../documents.js";
import { fileSections } from "./file-sections.js";

const folder = mkdtempSync(join(tmpdir(), "crossblock-large-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const megabyte = 1 << 20;
const section = 1 << 16;

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string, options: Partial<ReadingOptions> = {}): Promise<[Document[], ReadingWarning[]]> {
  const documents: Document[] = [];
  const warnings: ReadingWarning[] = [];
  const all = { wantedBytes: 3 * section, onWarning: (warning: ReadingWarning) => void warnings.push(warning) };
  for await (const document of readDocuments([path], null, { ...all, ...options })) documents.push(document);
  return [documents, warnings];
}

async function failure(path: string, options: Partial<ReadingOptions> = {}): Promise<CalibrationError> {
  const error: unknown = await read(path, options).catch((thrown: unknown) => thrown);
  if (!(error instanceof CalibrationError)) throw new Error(`no CalibrationError but ${String(error)}`);
  return error;
}

/** Numbered lines of 100 bytes, a tenth of them of other letters than Latin ones. */
function numbered(lines: number): string[] {
  return Array.from({ length: lines }, (_, i) => `${String(i).padStart(8, "0")} ${"ä".repeat(45)}`);
}

describe("a .txt file that is too large for one document", () => {
  const lines = numbered(60_000);
  const limits = { longestPlainText: 2 * megabyte };

  it("is read in sections of whole lines, evenly spread, and says so", async () => {
    const path = write("lines.txt", `${lines.join("\n")}\n`);
    const [documents, warnings] = await read(path, limits);
    expect(documents).toHaveLength(3);
    const known = new Set(lines);
    for (const { text } of documents) {
      const own = text.replace(/\n$/, "").split("\n");
      expect(own.every((line) => known.has(line))).toBe(true);
      expect(Math.abs(Buffer.byteLength(text) - section)).toBeLessThan(200);
    }
    const starts = documents.map(({ text }) => Number(text.slice(0, 8)));
    expect(starts[0]).toBe(0);
    expect(Math.abs((starts[1] ?? 0) - 20_000)).toBeLessThan(3);
    expect(Math.abs((starts[2] ?? 0) - 40_000)).toBeLessThan(3);
    expect(documents[1]?.source).toMatch(/lines\.txt, from byte \d+$/);
    expect(warnings).toEqual([
      expect.objectContaining({ where: path, what: expect.stringContaining("3 sections of it are read, 0.2 MB") }),
    ]);
  });

  it("is read as a whole where all of it is wanted", async () => {
    const path = write("all.txt", `${lines.join("\n")}\n`);
    const [documents] = await read(path, { ...limits, wantedBytes: 1000 * megabyte });
    expect(documents.map(({ text }) => text).join("")).toBe(`${lines.join("\n")}\n`);
  });

  it("may be one line, with spaces or without", async () => {
    const spaced = write("spaced.txt", lines.join(" "));
    const [documents] = await read(spaced, limits);
    expect(documents).toHaveLength(3);
    const known = new Set(lines.flatMap((line) => line.split(" ")));
    for (const { text } of documents)
      expect(
        text
          .trim()
          .split(" ")
          .every((word) => known.has(word)),
      ).toBe(true);
    const solid = write("solid.txt", "€".repeat(2_000_000));
    const [pieces] = await read(solid, limits);
    expect(pieces).toHaveLength(3);
    // A section that began within a character would not be UTF-8.
    for (const { text } of pieces) expect(text).toBe("€".repeat(text.length));
  });

  it("may be larger than any string", async () => {
    const path = write("sparse.txt", `${"x ".repeat(megabyte)}\n`);
    // A hole of zeros costs no disk; the sections in it are refused by their NUL, and not as bad UTF-8.
    truncateSync(path, 700 * megabyte);
    expect(await failure(path)).toMatchObject({ what: expect.stringContaining("NUL") });
    const [documents] = await read(path, { wantedBytes: section });
    expect(documents.map(({ text }) => text)).toEqual([`${"x ".repeat(section / 2)}x`]);
  });

  it("is refused by its size where it is packed", async () => {
    const path = write("packed.txt.gz", zlib.gzipSync("word ".repeat(megabyte)));
    expect(await failure(path, limits)).toMatchObject({
      where: path,
      what: expect.stringContaining("MB in one document; at most 2 MB"),
      next: expect.stringContaining("split -C 50M"),
    });
  });
});

describe("a .jsonl file that is too large to be read whole", () => {
  const limits = { longestLines: megabyte };
  const record = (text: string): string => JSON.stringify({ text });

  it("gives the lines of sections, evenly spread, and says so", async () => {
    const lines = numbered(60_000);
    const path = write("lines.jsonl", lines.map(record).join("\r\n"));
    const [documents, warnings] = await read(path, limits);
    const known = new Set(lines);
    expect(documents.every(({ text }) => known.has(text))).toBe(true);
    const bytes = documents.reduce((sum, { text }) => sum + Buffer.byteLength(record(text)), 0);
    expect(Math.abs(bytes - 3 * section)).toBeLessThan(10_000);
    expect(new Set(documents.map(({ text }) => text)).size).toBe(documents.length);
    expect(warnings[0]).toMatchObject({ where: path, what: expect.stringContaining("lines from 3 places") });
  });

  it("reads lines that are longer than a section once", async () => {
    const long = ["a", "b", "c", "d"].map((letter) => letter.repeat(2 * megabyte));
    const path = write("long.jsonl", long.map(record).join("\n"));
    const [documents] = await read(path, { ...limits, wantedBytes: 8 * megabyte });
    expect(documents.map(({ text }) => text.charAt(0))).toEqual(["a", "b", "c", "d"]);
  });

  it("names a line that no string can hold", async () => {
    const path = write("line.jsonl", '{"text":"x"}\n');
    truncateSync(path, 700 * megabyte);
    const error = await failure(path, { longestLines: 1000 * megabyte });
    expect(error).toMatchObject({
      where: `${path}:2`,
      what: expect.stringMatching(/^\d+ MB in one document; at most 5/),
    });
  });
});

describe("fileSections", () => {
  it("covers a file without gaps or overlaps where everything is wanted", async () => {
    const path = write("cover.txt", numbered(40_000).join("\n"));
    const size = Buffer.byteLength(numbered(40_000).join("\n"));
    const sections = await fileSections(path, size, 100 * megabyte);
    expect(sections[0]?.start).toBe(0);
    expect(sections.at(-1)?.end).toBe(size);
    for (const [i, { start }] of sections.entries()) if (i > 0) expect(start).toBe(sections[i - 1]?.end);
  });
});

describe("packed files", () => {
  it("unpacks .txt.gz and .jsonl.gz", async () => {
    expect((await read(write("a.txt.gz", zlib.gzipSync("packed"))))[0]).toMatchObject([{ text: "packed" }]);
    const lines = zlib.gzipSync('{"text":"a"}\n{"text":"b"}');
    expect((await read(write("a.jsonl.gz", lines)))[0].map(({ text }) => text)).toEqual(["a", "b"]);
  });

  it("unpacks .zst where Node can, and says what to do elsewhere", async () => {
    // "packed" as a frame of Zstandard with one raw block.
    const frame = Buffer.concat([Buffer.from("28b52ffd2006310000", "hex"), Buffer.from("packed")]);
    const path = write("a.txt.zst", frame);
    if ("createZstdDecompress" in zlib) expect((await read(path))[0]).toMatchObject([{ text: "packed" }]);
    else expect(await failure(path)).toMatchObject({ where: path, next: expect.stringContaining("zstd -d") });
  });

  it("refuses what can't be unpacked", async () => {
    const packed = zlib.gzipSync("packed ".repeat(1000));
    for (const bytes of [packed.subarray(0, 20), Buffer.from("plain text")]) {
      expect(await failure(write("bad.txt.gz", bytes))).toMatchObject({ what: "the file can't be unpacked" });
    }
    expect(await failure(join(folder, "missing.txt.gz"))).toMatchObject({ next: "check the path" });
  });
});
