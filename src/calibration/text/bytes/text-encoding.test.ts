import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CalibrationError } from "../../../errors.js";
import { readDocuments } from "../documents.js";

const folder = mkdtempSync(join(tmpdir(), "crossblock-encoding-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const words = "The harbour was quiet, and nobody asked where the boats had gone. ".repeat(3);

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function texts(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of readDocuments([path], null)) found.push(text);
  return found;
}

async function failure(path: string): Promise<CalibrationError> {
  const error: unknown = await texts(path).catch((thrown: unknown) => thrown);
  if (!(error instanceof CalibrationError)) throw new Error(`no CalibrationError but ${String(error)}`);
  return error;
}

/** Runs the command that an error's next step names on the file, and gives what it writes. */
function follow(next: string, path: string): Buffer {
  const command = /`(iconv [^`<]*)`/.exec(next)?.[1];
  if (command === undefined) throw new Error(`no command in ${next}`);
  return execFileSync("sh", ["-c", `${command} < "$1"`, "sh", path]);
}

const swapped = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
const wide = (text: string, littleEndian: boolean): Buffer => {
  const codes = Array.from(text, (char) => char.codePointAt(0) ?? 0);
  const bytes = Buffer.alloc(4 * codes.length);
  for (const [i, code] of codes.entries()) {
    if (littleEndian) bytes.writeUInt32LE(code, 4 * i);
    else bytes.writeUInt32BE(code, 4 * i);
  }
  return bytes;
};

describe("files in another encoding", () => {
  it.each([
    ["UTF-16, marked", "UTF-16", Buffer.from(`\ufeff${words}`, "utf16le")],
    ["UTF-16, marked, big-endian", "UTF-16", swapped(`\ufeff${words}`)],
    ["UTF-16 without a mark", "UTF-16", Buffer.from(words, "utf16le")],
    ["UTF-16 without a mark, big-endian", "UTF-16", swapped(words)],
    ["UTF-16 with some Chinese", "UTF-16", Buffer.from(`${words}港口很安静${words}`, "utf16le")],
    ["UTF-32, marked", "UTF-32", wide(`\ufeff${words}`, true)],
    ["UTF-32, marked, big-endian", "UTF-32", wide(`\ufeff${words}`, false)],
    ["UTF-32 without a mark", "UTF-32", wide(words, true)],
    ["UTF-32 without a mark, big-endian", "UTF-32", wide(words, false)],
  ])("are refused with the command that converts them: %s", async (_name, encoding, bytes) => {
    for (const extension of [".txt", ".jsonl", ".json"]) {
      const path = write(`other${extension}`, bytes);
      const error = await failure(path);
      expect(error).toMatchObject({ where: path, what: expect.stringContaining(`the text is ${encoding}`) });
      const converted = write("converted.txt", follow(error.next, path));
      expect((await texts(converted))[0]?.startsWith("The harbour was quiet")).toBe(true);
    }
  });

  it("are those of one character too", async () => {
    expect((await failure(write("short.txt", Buffer.from("\ufeffA", "utf16le")))).what).toContain("UTF-16");
  });

  it("are not those in UTF-8 with a mark, of which it drops the mark", async () => {
    expect(await texts(write("marked.txt", `\ufeff${words}`))).toEqual([words]);
    expect(await texts(write("marked.jsonl", `\ufeff{"text":"a"}\r\n{"text":"b"}\r\n`))).toEqual(["a", "b"]);
    expect(await texts(write("marked.json", `\ufeff[{"text":"a"},\r\n{"text":"b"}]\r\n`))).toEqual(["a", "b"]);
  });
});

describe("characters that no text has", () => {
  it("names the place of a NUL", async () => {
    const path = write("nul.txt", "one\ntwo 🙂\0three");
    expect(await failure(path)).toMatchObject({
      where: path,
      what: "the text has a NUL character (U+0000) at line 2, character 6",
      next: expect.stringContaining("tr -d '\\000' < OLD > NEW"),
    });
    const cleaned = execFileSync("sh", ["-c", `tr -d '\\000' < "$1"`, "sh", path]);
    expect(await texts(write("cleaned.txt", cleaned))).toEqual(["one\ntwo 🙂three"]);
  });

  it("names the line of a record that has one", async () => {
    const path = write("nul.jsonl", '{"text":"fine"}\n{"text":"a\\u0000b"}\n');
    expect(await failure(path)).toMatchObject({ where: `${path}:2`, what: expect.stringContaining("character 2") });
  });

  it("sees UTF-16 that was converted as if it were Latin-1", async () => {
    const misread = Buffer.from(`\ufeff${words}`, "utf16le").toString("latin1");
    const error = await failure(write("misread.txt", misread));
    expect(error.what).toBe("the text has a NUL character (U+0000) at line 1, character 4");
    expect(error.next).toContain("convert the original file with `iconv -f utf-16 -t utf-8`");
    const original = write("original.txt", Buffer.from(`\ufeff${words}`, "utf16le"));
    expect(follow(error.next, original).toString()).toBe(words);
  });

  it("refuses half of a surrogate pair, and takes whole ones", async () => {
    const path = write("half.jsonl", '{"text":"\\ud83d\\ude42"}\n{"text":"cut \\ud83d"}\n');
    expect(await failure(path)).toMatchObject({
      where: `${path}:2`,
      what: "the text has half of a surrogate pair (\\ud83d) at line 1, character 5",
    });
    expect(await texts(write("whole.jsonl", '{"text":"\\ud83d\\ude42"}\n'))).toEqual(["🙂"]);
  });
});
