import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import type { ChatSource } from "../chat/chat-format.js";
import { type Document, type ReadingWarning, readDocuments } from "./documents.js";

const folder = mkdtempSync(join(tmpdir(), "crossblock-documents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function read(paths: readonly string[], chat: ChatSource | null = null): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of readDocuments(paths, chat)) documents.push(document);
  return documents;
}

async function failure(paths: readonly string[], chat: ChatSource | null = null): Promise<CalibrationError> {
  const error: unknown = await read(paths, chat).catch((thrown: unknown) => thrown);
  if (!(error instanceof CalibrationError)) throw new Error(`no CalibrationError but ${String(error)}`);
  expect(error.exitCode).toBe(2);
  expect(error.message).toContain("Next: ");
  return error;
}

const texts = async (paths: readonly string[], chat: ChatSource | null = null) =>
  (await read(paths, chat)).map(({ text }) => text);

describe("readDocuments", () => {
  it("takes a .txt file as one document, untouched but for a byte order mark", async () => {
    const path = write("plain.txt", "\uFEFF one\r\n\ntwo é \n");
    expect(await read([path])).toEqual([{ text: " one\r\n\ntwo é \n", source: path }]);
  });

  it("refuses what is no regular file, of which reading would wait for ever", async () => {
    const socket = join(folder, "socket.txt");
    const server = createServer().listen(socket);
    await once(server, "listening");
    try {
      await expect(texts([socket])).rejects.toThrow(/socket\.txt: is no regular file.*write the text to a file/);
    } finally {
      server.close();
    }
    await expect(texts(["/dev/null"])).rejects.toThrow(/no regular file/);
  });

  it("takes every line of a .jsonl file and skips the empty ones", async () => {
    const path = write("lines.jsonl", '{"text":"a","id":1}\n\r\n{"text":"  "}\n{"text":"b\\nc"}\r\n{"text":"d"}');
    expect(await read([path])).toEqual([
      { text: "a", source: `${path}:1` },
      { text: "b\nc", source: `${path}:4` },
      { text: "d", source: `${path}:5` },
    ]);
  });

  it("puts lines together that are longer than a read", async () => {
    const long = "é".repeat(1_500_000);
    const path = write("long.jsonl", `{"text":"x${long}"}\n{"text":"${long}y"}\n`);
    expect(await texts([path])).toEqual([`x${long}`, `${long}y`]);
  });

  it("walks folders sorted by name, keeps the order of several paths, follows links to files", async () => {
    const other = write("other/target", "linked");
    write("tree/b.txt", "b");
    write("tree/a/z.jsonl", '{"text":"z"}\n');
    write("tree/a/10.TXT", "10");
    write("tree/c.md", "not text for us");
    write("tree/.hidden/x.txt", "hidden");
    symlinkSync(other, join(folder, "tree", "d.txt"));
    symlinkSync(join(folder, "tree"), join(folder, "tree", "loop"));
    const last = write("last.txt", "last");
    expect(await texts([join(folder, "tree"), last])).toEqual(["10", "z", "b", "linked", "last"]);
  });

  it("names what can't be read in a folder before it reads anything", async () => {
    write("partly/a.txt", "fine");
    symlinkSync(join(folder, "nowhere"), join(folder, "partly", "b.txt"));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { text } of readDocuments([join(folder, "partly")], null)) seen.push(text);
    })();
    await expect(reading).rejects.toThrow(/b\.txt: there is no such file.*check the path/);
    expect(seen).toEqual([]);
  });

  it("takes a .json file as a list, or as one record a line, but none from a folder", async () => {
    const list = write("json/list.json", '[{"text":"a"},{"text":null},{"text":"b","n":NaN}]');
    expect(await read([list])).toEqual([
      { text: "a", source: `${list}, record 1` },
      { text: "b", source: `${list}, record 3` },
    ]);
    const lines = write("json/lines.json", '{"text":"a"}\n{"text":"b"}\n');
    expect(await texts([lines])).toEqual(["a", "b"]);
    expect((await failure([join(folder, "json")])).what).toContain("no .txt, .jsonl or .parquet");
    expect(await failure([write("bad.json", '[{"text":"a"},7]')])).toMatchObject({
      where: expect.stringContaining("bad.json, record 2"),
      what: "the record is no JSON object",
    });
    expect((await failure([write("cut.json", '[{"text":"a"},')])).next).toContain(".jsonl");
  });

  it("leaves out records without text, and counts them", async () => {
    const path = write("some.jsonl", '{"text":""}\n{"text":"a"}\n\n{"text":null}\n');
    const warnings: ReadingWarning[] = [];
    const options = { wantedBytes: 1, onWarning: (warning: ReadingWarning) => void warnings.push(warning) };
    const found: string[] = [];
    for await (const { text } of readDocuments([path], null, options)) found.push(text);
    expect(found).toEqual(["a"]);
    expect(warnings).toEqual([
      expect.objectContaining({ where: path, what: expect.stringMatching(/^2 of 3 records have no text/) }),
    ]);
    expect((await failure([write("none.jsonl", '{"text":null}\n')])).why).toContain("all 1 records are null or empty");
  });

  const withTemplate = (chatTemplate: string): ChatSource => ({
    chatTemplate,
    toolTemplate: null,
    roleTokens: new Map([
      ["bos_token", "<s>"],
      ["eos_token", "</s>"],
    ]),
  });
  const chat = withTemplate(
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}" +
      "{% if messages[0].role == 'tool' %}{{ raise_exception('no tool first') }}{% endif %}",
  );

  it("writes messages through the chat template", async () => {
    const path = write(
      "chat.jsonl",
      '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"}]}\n',
    );
    expect(await texts([path], chat)).toEqual(["<s><user>Hi</s><assistant>Yes?</s>"]);
  });

  it("gives the same text on every day, whatever date a template asks for", async () => {
    const path = write("date.jsonl", '{"messages":[{"role":"user","content":"Hi"}]}\n');
    const chatTemplate = "Today: {{ strftime_now('%Y-%m-%d') }}\n{{ messages[0].content }}";
    expect(await texts([path], withTemplate(chatTemplate))).toEqual(["Today: 2024-07-26\nHi"]);
  });

  it("refuses messages where the model has no chat template, or a broken one", async () => {
    const path = write("untemplated.jsonl", '\n{"messages":[{"role":"user","content":"Hi"}]}\n');
    expect(await failure([path])).toMatchObject({
      where: `${path}:2`,
      what: expect.stringContaining("no chat template"),
      next: expect.stringContaining('"text"'),
    });
    expect((await failure([path], withTemplate("{% if %}"))).next).toContain("tokenizer_config.json");
  });

  it("names the line that the chat template refuses, and the template's reason", async () => {
    const path = write("refused.jsonl", '{"messages":[{"role":"tool","content":"42"}]}\n');
    expect(await failure([path], chat)).toMatchObject({
      where: `${path}:1`,
      why: expect.stringContaining("no tool first"),
      next: expect.stringContaining("roles"),
    });
  });

  it("names file, line and keys of a line with neither text nor messages", async () => {
    const path = write("keys.jsonl", '{"text":"fine"}\n{"content":"x","label":3}\n');
    expect(await failure([path])).toMatchObject({
      where: `${path}:2`,
      why: 'the record has the keys "content", "label"',
      next: expect.stringContaining('{"text": "..."}'),
    });
    for (const line of ['{"text":7}', '{"messages":"x"}', '{"messages":[{"content":"x"}]}', "{}"]) {
      expect((await failure([write("wrong.jsonl", line)])).why).toContain("the record has");
    }
  });

  it("names the line that is not JSON, or no object", async () => {
    const path = write("broken.jsonl", '{"text":"fine"}\n{"text":"cut\n');
    expect(await failure([path])).toMatchObject({
      where: `${path}:2`,
      what: "the line is not valid JSON",
      next: expect.stringContaining("one JSON object a line"),
    });
    expect((await failure([write("array.jsonl", '["a"]\n')])).what).toBe("the line is no JSON object");
  });

  it("names the file or line that is not UTF-8", async () => {
    const text = write("latin1.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x20));
    expect(await failure([text])).toMatchObject({ where: text, next: expect.stringContaining("iconv") });
    const lines = write("latin1.jsonl", Buffer.from('{"text":"a"}\n{"text":"caf\xe9"}\n', "latin1"));
    expect(await failure([lines])).toMatchObject({ where: `${lines}:2`, next: expect.stringContaining("iconv") });
  });

  it("refuses what holds no text", async () => {
    for (const path of [write("empty.txt", ""), write("blank.txt", " \n"), write("empty.jsonl", '{"text":""}\n')]) {
      expect(await failure([path])).toMatchObject({ where: path, what: "there is no text in this file" });
    }
    mkdirSync(join(folder, "bare"));
    expect((await failure([join(folder, "bare")])).what).toContain("no .txt, .jsonl or .parquet");
    expect((await failure([])).what).toBe("no text was given");
  });

  it("refuses paths that are missing or of another kind", async () => {
    const missing = join(folder, "missing.txt");
    expect(await failure([missing])).toMatchObject({ where: missing, next: "check the path" });
    const image = write("page.html", "<p>");
    expect(await failure([image])).toMatchObject({ where: image, next: expect.stringContaining(".jsonl") });
  });
});
