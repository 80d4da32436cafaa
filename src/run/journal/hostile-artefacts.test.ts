import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cases, mutate, mutated, onlyTypedErrors, repaired, seed } from "../../checkpoint/testing/fuzz.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { unpackedWeight } from "../../format/bits/packed-rows.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { WindowDoneEvent } from "../events/events.js";
import { Journal, type JournalOptions } from "./journal.js";
import { manifestFile, readManifest } from "./manifest.js";
import { Artefact } from "./saved/artefact.js";
import { SavedWindow } from "./saved/saved-window.js";

const work = temporaryFolder();
const options = (folder: string): JournalOptions => ({
  folder,
  identity: { model: "tiny" },
  windows: () => 3,
  choose: () => ({ microBatch: 1, threads: 1, finish: "none" }),
  warn: () => {},
  poll: () => {},
});

function done(window: number): WindowDoneEvent {
  const layers = [{ name: linearOf(window), relativeError: 0.1 }];
  const loss = { total: 1, fullPrecision: 1, quantized: null };
  const place = { window, windows: 3, blocks: [window, window] } as const;
  return { event: "window-done", ...place, lossBefore: loss, lossAfter: loss, layers, seconds: 1 };
}

function linearOf(window: number): string {
  return `model.layers.${window}.mlp.up_proj`;
}

const weight: QuantizedWeight = {
  bits: 4,
  groupSize: 4,
  perChannel: false,
  symmetric: true,
  rows: 2,
  columns: 8,
  codes: Uint8Array.from({ length: 16 }, (_, i) => i),
  scales: Float32Array.of(0.5, 1, -2, 4),
  zeroPoints: new Uint8Array(4).fill(8),
};

beforeAll(async () => {
  using journal = await Journal.open(options(work.path));
  for (const window of [0, 1]) {
    journal.linear(linearOf(window), weight);
    journal.plain("model.norm.weight", new Uint8Array(8));
    const state = {
      name: "stream.full",
      dtype: "float32",
      shape: [2, 1, 2],
      pieces: () => [new Uint8Array(16)],
    } as const;
    journal.windowDone(done(window), [state], 1);
  }
});
afterAll(() => work[Symbol.dispose]());

/** Artefacts count by their bytes, a manifest by what it says: the line break at its end may be missing. */
function sameContent(name: string, before: Uint8Array, after: Uint8Array): boolean {
  if (Buffer.compare(before, after) === 0) return true;
  if (name !== manifestFile) return false;
  try {
    return isDeepStrictEqual(JSON.parse(Buffer.from(before).toString()), JSON.parse(Buffer.from(after).toString()));
  } catch {
    return false;
  }
}

describe(`hostile artefacts (seed ${seed})`, () => {
  it(`a work directory with ${cases} mutations of one file gives what is intact, or a typed error`, async () => {
    const names = readdirSync(work.path);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), mutated, async (name, { mutations }) => {
        using copy = temporaryFolder();
        cpSync(work.path, copy.path, { recursive: true });
        const bytes = readFileSync(join(copy.path, name));
        const changed = mutate(new Uint8Array(bytes), mutations);
        writeFileSync(join(copy.path, name), changed);
        await onlyTypedErrors(async () => {
          using journal = await Journal.open(options(copy.path));
          const { window } = journal.resume;
          expect(window).toBeLessThanOrEqual(2);
          if (!sameContent(name, bytes, changed)) expect(window).toBeLessThan(name.startsWith("state-00001") ? 3 : 2);
          if (window > 0) journal.resume.read("stream.full", 0, 16);
          expect(journal.finished.done.length).toBe(window);
        });
      }),
      { numRuns: cases, seed },
    );
  });

  it(`${cases} mutated windows are read or refused, whatever their hash`, async () => {
    const name = readdirSync(work.path).find((file) => file.startsWith("window-00000")) ?? "";
    const good = new Uint8Array(readFileSync(join(work.path, name)));
    using folder = temporaryFolder();
    const path = join(folder.path, "window");
    await fc.assert(
      fc.asyncProperty(mutated, async ({ mutations, repair }) => {
        const bytes = mutate(good, mutations);
        writeFileSync(path, repair ? repaired(bytes) : bytes);
        await onlyTypedErrors(async () => {
          const window = SavedWindow.open(path);
          for (const linear of window.linears.keys()) {
            unpackedWeight(window.readLinear(linear));
            window.hashOf(linear);
          }
          for (const plain of window.plain) window.readPlain(plain);
        });
      }),
      { numRuns: cases, seed },
    );
  });

  it("a manifest can't name files outside its folder", async () => {
    using copy = temporaryFolder();
    cpSync(work.path, copy.path, { recursive: true });
    const text = readFileSync(join(copy.path, manifestFile), "utf8");
    writeFileSync(join(copy.path, manifestFile), text.replaceAll("window-00000", "../window-00000"));
    expect(await readManifest(copy.path)).toBe("damaged");
  });

  it("reads no more of a tensor than it has, and no other one", () => {
    const name = readdirSync(work.path).find((file) => file.startsWith("state-00002")) ?? "";
    using artefact = Artefact.open(join(work.path, name));
    for (const [tensor, begin, end] of [
      ["stream.full", 0, 17],
      ["stream.full", -1, 4],
      ["stream.full", 8, 4],
      ["stream.other", 0, 0],
    ] as const) {
      expect(() => artefact.read(tensor, begin, end)).toThrow(/Next: /);
    }
  });

  it("a link in place of a window counts by what it leads to", async () => {
    using copy = temporaryFolder();
    cpSync(work.path, copy.path, { recursive: true });
    const name = readdirSync(copy.path).find((file) => file.startsWith("window-00001")) ?? "";
    rmSync(join(copy.path, name));
    symlinkSync("/etc/passwd", join(copy.path, name));
    using journal = await Journal.open(options(copy.path));
    expect(journal.resume.window).toBe(1);
  });
});
