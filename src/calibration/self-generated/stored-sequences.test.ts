import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { isSequenceFile, type SequenceKey, storedSequences, storeSequences } from "./stored-sequences.js";

const chosen = { ids: Int32Array.of(5, 0, 9, 9, 2, 7), sequences: 2, context: 3 };
const shape = { sequences: 2, context: 3, vocabulary: 10 };
const key: SequenceKey = { seed: 1, temperature: 0.8, scripts: ["Latin"] };

describe("sequences that are kept", () => {
  it("come back for the same key, whatever the order of its parts, and for no other", async () => {
    using folder = temporaryFolder();
    const inside = join(folder.path, "new", "folder");
    await storeSequences(inside, key, chosen);
    expect(await storedSequences(inside, key, shape)).toEqual(chosen);
    expect(await storedSequences(inside, { scripts: ["Latin"], temperature: 0.8, seed: 1 }, shape)).toEqual(chosen);
    expect(await storedSequences(inside, { ...key, seed: 2 }, shape)).toBe(null);
    expect(await storedSequences(folder.path, key, shape)).toBe(null);
    expect(readdirSync(inside).every(isSequenceFile)).toBe(true);
  });

  it("count as absent where anything about them is wrong", async () => {
    using folder = temporaryFolder();
    await storeSequences(folder.path, key, chosen);
    const [name = ""] = readdirSync(folder.path);
    const path = join(folder.path, name);
    expect(await storedSequences(folder.path, key, { ...shape, context: 4 })).toBe(null);
    expect(await storedSequences(folder.path, key, { ...shape, vocabulary: 9 })).toBe(null);
    const bytes = readFileSync(path);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await storedSequences(folder.path, key, shape)).toBe(null);
    truncateSync(path, 31);
    expect(await storedSequences(folder.path, key, shape)).toBe(null);
  });

  it("are refused by a folder that can't be written, with nothing half-written", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "file"), "");
    await expect(storeSequences(join(folder.path, "file"), key, chosen)).rejects.toThrow();
    expect(readdirSync(folder.path)).toEqual(["file"]);
  });
});
