import { describe, expect, it } from "vitest";
import { CalibrationError } from "../errors.js";
import { tokenizeDocuments } from "./token-stream.js";

const encode = (text: string) => Int32Array.from(text, (char) => char.codePointAt(0) ?? 0);
const documents = ["ab", "c"].map((text) => ({ text, source: "test" }));

describe("tokenizeDocuments", () => {
  it("puts the start token before every document", async () => {
    const { ids, documents: count } = await tokenizeDocuments(documents, { encode, startToken: 1 });
    expect([...ids]).toEqual([1, 97, 98, 1, 99]);
    expect(count).toBe(2);
  });

  it("does not repeat a start token that the text has already", async () => {
    const { ids } = await tokenizeDocuments(documents, { encode, startToken: 97 });
    expect([...ids]).toEqual([97, 98, 97, 99]);
  });

  it("only concatenates where the model has no start token", async () => {
    const { ids } = await tokenizeDocuments(documents, { encode: async (text) => encode(text), startToken: null });
    expect([...ids]).toEqual([97, 98, 99]);
  });

  it("refuses no documents at all", async () => {
    const error: unknown = await tokenizeDocuments([], { encode, startToken: null }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CalibrationError);
    expect(error).toMatchObject({ next: "give files that hold text" });
  });

  it("stops when it is aborted", async () => {
    const aborted = tokenizeDocuments(documents, { encode, startToken: null }, AbortSignal.abort(new Error("stop")));
    await expect(aborted).rejects.toThrow("stop");
  });
});
