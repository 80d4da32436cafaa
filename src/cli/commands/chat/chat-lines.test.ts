import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { CalibrationError } from "../../../errors.js";
import { chatLines } from "./chat-lines.js";

function piped(...pieces: readonly Uint8Array[]): AsyncGenerator<string, void> {
  const input: PassThrough & { isTTY?: false } = new PassThrough();
  for (const piece of pieces) input.write(piece);
  input.end();
  return chatLines({ input, output: new PassThrough(), signal: new AbortController().signal }, "> ");
}

it("reads the lines of a pipe as they are, where a character comes in two pieces too", async () => {
  const text = Buffer.from("naïve 東京 👩‍👩‍👧\r\n\nlast");
  for (const cut of [3, 4, 8, 9]) {
    const lines: string[] = [];
    for await (const line of piped(text.subarray(0, cut), text.subarray(cut))) lines.push(line);
    expect(lines).toEqual(["naïve 東京 👩‍👩‍👧", "", "last"]);
  }
});

it("refuses a line that is not UTF-8, and says which", async () => {
  const lines = piped(Buffer.from("good\n"), Buffer.from("na\u00efve\nlost\n", "latin1"));
  expect((await lines.next()).value).toBe("good");
  const refused = lines.next();
  await expect(refused).rejects.toThrow(CalibrationError);
  await expect(refused).rejects.toThrow(/standard input, line 2: the text is not UTF-8.*Next: convert it, .*iconv/);
  expect((await lines.next()).done).toBe(true);
});
