import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../checkpoint/tokenizer/tokenizer.js";
import { readDocuments } from "./text/documents.js";
import { tokenizeDocuments } from "./token-stream.js";

const model = "models/sotu-llama-7m";
const data = ".cache/sotu";

describe("text of the bundled model", () => {
  // The train split has 2,273,079 tokens of 294 documents; it takes a quarter of a minute, so it is not counted here.
  it.skipIf(!existsSync(data))("has as many tokens as its model card says (skipped without a registry)", async () => {
    const tokenizer = await Tokenizer.open(model);
    for (const [split, documents, tokens] of [
      ["validation", 41, 266_617],
      ["test", 37, 324_275],
    ] as const) {
      const stream = await tokenizeDocuments(readDocuments([`${data}/${split}.jsonl`], tokenizer), tokenizer, {
        folder: null,
      });
      expect([stream.documents, stream.ids.length]).toEqual([documents, tokens]);
      expect(stream.ids.filter((id) => id === tokenizer.startToken).length).toBe(documents);
    }
  });

  it("is not encoded once the run is stopped", async () => {
    const tokenizer = await Tokenizer.open(model);
    const documents = readDocuments(["test/fixtures/address.txt"], tokenizer);
    const stopped = tokenizeDocuments(documents, tokenizer, { signal: AbortSignal.abort(new Error("stop")) });
    await expect(stopped).rejects.toThrow("stop");
  });
});
