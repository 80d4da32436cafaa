// Token ids of the bundled text as uint16, which make_experts.py trains on, and every tenth text beside them, which it does not see:
// token-ids.mjs TOKENIZER_FOLDER IDS.bin HELD_OUT.txt
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { createGunzip } from "node:zlib";
import { Tokenizer } from "../../dist/checkpoint/tokenizer/tokenizer.js";

const [folder, out, heldOut] = process.argv.slice(2);
const tokenizer = await Tokenizer.open(folder);
let prose = "";
for await (const piece of createReadStream("text/prose.jsonl.gz").pipe(createGunzip())) prose += piece;
const lines = `${prose}\n${readFileSync("text/own.jsonl", "utf8")}`.split("\n").filter((line) => line.trim() !== "");
// A conversation is what its turns say.
const texts = lines.map((line) => {
  const { text, messages } = JSON.parse(line);
  return text ?? messages.map(({ content }) => content).join("\n");
});
const ids = texts.flatMap((text, i) => (i % 10 === 9 ? [] : [...tokenizer.encode(text)]));
writeFileSync(out, Uint16Array.from(ids));
writeFileSync(heldOut, texts.filter((_, i) => i % 10 === 9).join("\n\n"));
console.log(`${ids.length} tokens of ${texts.length} texts, the largest id ${ids.reduce((a, b) => Math.max(a, b), 0)}`);
