import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { InputError } from "../../errors.js";
import { cbq, open, result, run, useTinyModel, whole } from "./testing/tiny-runs.js";

useTinyModel();

describe("damage", () => {
  const folder = temporaryFolder();
  let expected: object;
  beforeAll(async () => {
    expected = await whole(cbq);
    using journal = await open(folder.path, cbq);
    run(journal, cbq, 2);
  });
  afterAll(() => folder[Symbol.dispose]());

  const damages: readonly (readonly [string, prefix: string, resumes: number, (path: string) => void])[] = [
    ["a flipped bit in the last window", "window-00001", 1, flip],
    ["a flipped bit in the first window", "window-00000", 0, flip],
    ["a truncated state", "state-00002", 1, (path) => truncateSync(path, 900)],
    ["a state that vanished", "state-00002", 1, (path) => rmSync(path)],
    ["a damaged manifest", "manifest.json", 0, flip],
    ["an empty manifest", "manifest.json", 0, (path) => truncateSync(path)],
  ];

  it.each(damages)(
    "%s is discarded with a warning, and its window done again",
    async (_name, prefix, resumes, damage) => {
      using copy = temporaryFolder();
      cpSync(folder.path, copy.path, { recursive: true });
      const file = readdirSync(copy.path).find((name) => name.startsWith(prefix)) ?? "";
      damage(join(copy.path, file));
      const warnings: string[] = [];
      using journal = await open(copy.path, cbq, warnings);
      expect(journal.resume.window).toBe(resumes);
      expect(warnings).toEqual([expect.stringMatching(`${prefix}.*(done again|nothing of the run)`)]);
      run(journal, cbq);
      expect(await result(journal)).toEqual(expected);
    },
  );

  it("a folder of another run is refused, with what changed and both ways out", async () => {
    const before = readdirSync(folder.path);
    const error = await open(folder.path, { ...cbq, scheme: "W2A16g8" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).why).toBe("changed: scheme W3A16g8 -> W2A16g8");
    expect((error as InputError).next).toMatch(/--fresh.*--work/);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it("a folder in another format is refused, and nothing of it is removed", async () => {
    using copy = temporaryFolder();
    cpSync(folder.path, copy.path, { recursive: true });
    const path = join(copy.path, "manifest.json");
    const body = { ...(JSON.parse(readFileSync(path, "utf8")) as { body: object }).body, format: 1 };
    const sha256 = createHash("sha256").update(JSON.stringify(body)).digest("hex");
    writeFileSync(path, JSON.stringify({ sha256, body }));
    const before = readdirSync(copy.path);
    const error = await open(copy.path, cbq).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).next).toMatch(/version that began it.*--fresh.*--work/);
    expect(readdirSync(copy.path)).toEqual(before);
  });

  it("what a killed process was writing is removed", async () => {
    using copy = temporaryFolder();
    cpSync(folder.path, copy.path, { recursive: true });
    const orphan = `window-00002.${"0".repeat(16)}.safetensors`;
    writeFileSync(join(copy.path, orphan), "half");
    using journal = await open(copy.path, cbq);
    expect(journal.resume.window).toBe(2);
    expect(readdirSync(copy.path)).not.toContain(orphan);
  });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
