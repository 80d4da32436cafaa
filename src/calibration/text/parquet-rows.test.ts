import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import type { ChatSource } from "../chat/chat-format.js";
import { parquetFiles } from "../testing/parquet-files.js";
import { type Document, readDocuments } from "./documents.js";

const folder = mkdtempSync(join(tmpdir(), "crossblock-parquet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "table.parquet");

async function read(content: string | Uint8Array, chat: ChatSource | null = null): Promise<Document[]> {
  writeFileSync(path, typeof content === "string" ? Buffer.from(content, "base64") : content);
  const documents: Document[] = [];
  for await (const document of readDocuments([path], chat)) documents.push(document);
  return documents;
}

async function failure(content: string | Uint8Array): Promise<CalibrationError> {
  const error: unknown = await read(content).catch((thrown: unknown) => thrown);
  if (!(error instanceof CalibrationError)) throw new Error(`no CalibrationError but ${String(error)}`);
  return error;
}

describe("readDocuments, Parquet", () => {
  it("takes every row that has a text, over all row groups", async () => {
    expect(await read(parquetFiles.snappy)).toEqual([
      { text: "first", source: `${path}, row 1` },
      { text: "fourth é", source: `${path}, row 4` },
    ]);
  });

  it.each(["gzip", "brotli", "zstd", "lz4"] as const)("reads pages packed with %s", async (packing) => {
    expect((await read(parquetFiles[packing])).map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it("writes messages through the chat template", async () => {
    const chat: ChatSource = {
      chatTemplate: "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
      toolTemplate: null,
      roleTokens: new Map(),
    };
    expect(await read(parquetFiles.messages, chat)).toEqual([
      { text: "<user>Hi<assistant>Yes?", source: `${path}, row 1` },
    ]);
  });

  it("names the columns of a table without text", async () => {
    expect(await failure(parquetFiles.otherColumns)).toMatchObject({
      where: path,
      why: 'its columns are "content", "label"',
      next: expect.stringContaining("rename the column"),
    });
  });

  it("refuses a text that is no string or not UTF-8", async () => {
    expect(await failure(parquetFiles.integers)).toMatchObject({
      where: `${path}, row 1`,
      why: expect.stringContaining('"text"'),
    });
    expect(await failure(parquetFiles.notUtf8)).toMatchObject({ where: path, next: expect.stringContaining("iconv") });
  });

  it("refuses what can't be decoded", async () => {
    const whole = Buffer.from(parquetFiles.snappy, "base64");
    const next = expect.stringContaining("download it again");
    expect(await failure(whole.subarray(0, 200))).toMatchObject({ where: path, next });
    expect(await failure(Buffer.from("no table at all"))).toMatchObject({ where: path, next });
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 4, 300);
    expect(await failure(damaged)).toMatchObject({ where: path, next });
  });
});
