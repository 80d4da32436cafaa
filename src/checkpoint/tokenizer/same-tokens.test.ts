import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../errors.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { requireSameTokens } from "./same-tokens.js";
import { Tokenizer } from "./tokenizer.js";

const bundled = join(import.meta.dirname, "../../../models/sotu-llama-7m");

/** The bundled tokenizer with its files' text changed. */
async function changed(change: (text: string, file: string) => string): Promise<Tokenizer> {
  using folder = temporaryFolder();
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    cpSync(join(bundled, file), join(folder.path, file));
    writeFileSync(join(folder.path, file), change(readFileSync(join(bundled, file), "utf8"), file));
  }
  return await Tokenizer.open(folder.path);
}

function compare(tokenizer: Tokenizer, other: Tokenizer): void {
  requireSameTokens(tokenizer, other, { folder: "ours", other: "theirs" });
}

describe("requireSameTokens", async () => {
  const original = await Tokenizer.open(bundled);

  it("lets equal tables pass, whatever the file looks like", async () => {
    compare(original, original);
    compare(original, await changed((text, file) => (file === "tokenizer.json" ? `${text}\n` : text)));
  });

  it.each<[name: string, change: (text: string, file: string) => string, message: RegExp]>([
    [
      "another start token",
      (text) => text.replace('"bos_token": "<|endoftext|>"', '"bos_token": null'),
      /the start token is 0 \("<\|endoftext\|>"\) and none/,
    ],
    ["another spelling", (text) => text.replace('"Ġthe"', '"Ġteh"'), /id \d+ is "Ġthe" and "Ġteh"/],
    [
      "another size",
      (text, file) => {
        if (file !== "tokenizer.json") return text;
        const tokenizer = JSON.parse(text) as { added_tokens: object[] };
        tokenizer.added_tokens.push({ id: 4096, content: "<x>", special: true });
        return JSON.stringify(tokenizer);
      },
      /4096 and 4097 ids/,
    ],
    [
      "another special token",
      (text, file) => (file === "tokenizer.json" ? text.replace('"special": true', '"special": false') : text),
      /the special token "<\|endoftext\|>" is 0 .* and none/,
    ],
  ])("refuses %s", async (_name, change, message) => {
    const other = await changed(change);
    expect(() => compare(original, other)).toThrow(CheckpointError);
    expect(() => compare(original, other)).toThrow(message);
    expect(() => compare(original, other)).toThrow(/theirs.*Next: /);
  });
});
