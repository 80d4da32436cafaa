import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { type CliOutcome, runCli } from "../fixtures/run-cli.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";
import { writeTinyLlama } from "../fixtures/tiny-llama.js";

let place: Workplace;
let model: string;
let expected: unknown;
const mounts: string[] = [];

const quantize = (...args: readonly string[]): string[] => [
  "quantize",
  model,
  ...["--scheme", "W3A16g8", "--calibration", place.text, "--samples", "8", "--context", "32"],
  ...["--effort", "normal", "--no-score", "--set", "window.epochs=1", "window.batch=4", "range.candidates=6"],
  ...args,
];

/** A small filesystem of its own, or null where this user may not mount one. */
function smallDisk(name: string, size: string): string | null {
  const path = join(place.folder, name);
  mkdirSync(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], { stdio: "pipe" });
    mounts.push(path);
    return path;
  } catch {
    return null;
  }
}

function codesOf(out: string): unknown {
  return (JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8")) as { fingerprints: unknown }).fingerprints;
}

function expectError({ code, events, stderr }: CliOutcome, message: RegExp): void {
  expect(stderr).toMatch(message);
  expect(stderr).toMatch(/next: /);
  expect(stderr).not.toMatch(/\n +at /);
  expect(code, stderr).toBe(1);
  expect(events.at(-1)).toMatchObject({ event: "error", exitCode: 1 });
}

const temporaries = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith(".tmp"));
const mayMount = process.platform === "linux" && process.getuid?.() === 0;

beforeAll(async () => {
  place = workplace();
  model = join(place.folder, "model");
  await writeTinyLlama(model, 6);
  const out = join(place.folder, "expected");
  const { code, stderr } = await eventsHere(quantize("--out", out));
  expect(code, stderr).toBe(0);
  expected = codesOf(out);
});

afterAll(() => {
  for (const path of mounts) execFileSync("umount", [path]);
  place[Symbol.dispose]();
});

describe.skipIf(!mayMount)("a disk that is full (skipped where no tmpfs may be mounted)", () => {
  it("with the work directory on it: nothing half-written, and continues after space was made", async ({ skip }) => {
    const disk = smallDisk("small", "1m") ?? skip("mount failed");
    const { bavail, bsize } = statfsSync(disk);
    const filler = join(disk, "filler");
    writeFileSync(filler, new Uint8Array(bavail * bsize - 250_000));
    const work = join(disk, "work");
    const out = join(place.folder, "from-small");
    const full = await runCli(quantize("--out", out, "--work", work));
    expectError(full, /the state of the run can't be saved[\s\S]*no space left/);
    expect(full.events.some(({ event }) => event === "window-done")).toBe(true);
    expect(temporaries(work)).toEqual([]);
    expect(existsSync(out)).toBe(false);

    rmSync(filler);
    const after = await eventsHere(quantize("--out", out, "--work", work));
    expect(after.code, after.stderr).toBe(0);
    expect(after.events.find(({ event }) => event === "continued")?.["window"]).toBeGreaterThan(0);
    expect(codesOf(out)).toEqual(expected);
    expect(existsSync(work)).toBe(false);
  });

  it("with the result on it: no result appears, and only the export is done again", async ({ skip }) => {
    const disk = smallDisk("result", "16m") ?? skip("mount failed");
    const [out, work] = [join(disk, "out"), join(place.folder, "work-of-result")];
    const filler = join(disk, "filler");
    const full = await eventsHere(quantize("--out", out, "--work", work), ({ event }) => {
      if (event !== "window-done" || existsSync(filler)) return;
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(filler, new Uint8Array(bavail * bsize - 100_000));
    });
    expectError(full, /no space left/);
    expect(readdirSync(disk)).toEqual(["filler"]);

    rmSync(filler);
    const after = await eventsHere(quantize("--out", out, "--work", work));
    expect(after.code, after.stderr).toBe(0);
    expect(after.events.find(({ event }) => event === "continued")).toMatchObject({ window: 9, windows: 9 });
    expect(after.events.some(({ event }) => event === "step")).toBe(false);
    expect(codesOf(out)).toEqual(expected);
  });

  it("for the result or the work folder: refused before anything is computed, by a dry run too", async ({ skip }) => {
    const disk = smallDisk("too-small", "400k") ?? skip("mount failed");
    const small = smallDisk("too-small-for-work", "100k") ?? skip("mount failed");
    for (const args of [
      quantize("--out", join(disk, "out"), "--work", join(place.folder, "work-of-too-small")),
      quantize("--out", join(place.folder, "x"), "--work", join(small, "work"), "--samples", "60"),
    ]) {
      for (const dry of [[], ["--dry-run"]]) {
        const outcome = await eventsHere([...args, ...dry]);
        expectError(outcome, /will be written here, and \S+ MB are free[\s\S]*next: free space/);
        expect(outcome.events.some(({ event }) => event === "window-start")).toBe(false);
      }
    }
    expect([...readdirSync(disk), ...readdirSync(small)]).toEqual([]);
  });

  it("that is the output folder itself: refused, for it can't be replaced; the place that is offered works", async ({
    skip,
  }) => {
    const disk = smallDisk("mounted", "16m") ?? skip("mount failed");
    const bound = join(place.folder, "bound");
    mkdirSync(bound);
    const other = join(place.folder, "other");
    mkdirSync(other);
    execFileSync("mount", ["--bind", other, bound]);
    mounts.push(bound);
    for (const out of [disk, bound]) {
      const { code, events } = await eventsHere(quantize("--out", out, "--work", join(place.folder, "w"), "--dry-run"));
      expect(code).toBe(2);
      expect(events.at(-1)?.["what"]).toMatch(/is a mount point/);
    }
    const { events } = await eventsHere(quantize("--out", disk));
    const offered = /--out (\S+)$/.exec(String(events.at(-1)?.["next"]))?.[1] ?? "";
    expect((await eventsHere(quantize("--out", offered))).code).toBe(0);
  });

  it("read-only: an error before anything is computed", async ({ skip }) => {
    const disk = smallDisk("read-only", "1m") ?? skip("mount failed");
    execFileSync("mount", ["-o", "remount,ro", disk]);
    expectError(await eventsHere(quantize("--out", join(disk, "out"))), /read-only/);
    const work = await eventsHere(quantize("--out", join(place.folder, "x"), "--work", join(disk, "work")));
    expectError(work, /the work directory can't be made[\s\S]*read-only/);
  });
});

describe("what vanishes while a run is under way", () => {
  /** Acts when the first window is done. A run that came to its end before this process noticed is undone and repeated. */
  const actInRun = async (args: readonly string[], action: () => void, undo: () => void): Promise<CliOutcome> => {
    for (;;) {
      let done = false;
      const outcome = await eventsHere(args, ({ event }) => {
        if (done || event !== "window-done") return;
        done = true;
        action();
      });
      if (outcome.code !== 0) return outcome;
      undo();
    }
  };

  it("the work directory: a typed error, no result, and the next run starts anew", async () => {
    const out = join(place.folder, "without-work");
    const outcome = await actInRun(
      quantize("--out", out, "--set", "window.epochs=40"),
      () => rmSync(`${out}.work`, { recursive: true, force: true }),
      () => rmSync(out, { recursive: true }),
    );
    expectError(outcome, /the file or its folder is gone/);
    expect(readdirSync(dirname(out)).filter((name) => name.includes(basename(out)))).toEqual([]);
  });

  it("the weights: a typed error that names the file, and continues once they are back", async () => {
    const weights = join(model, "model.safetensors");
    const bytes = readFileSync(weights);
    const out = join(place.folder, "without-weights");
    const outcome = await actInRun(
      quantize("--out", out),
      () => truncateSync(weights, 3000),
      () => {
        rmSync(out, { recursive: true });
        writeFileSync(weights, bytes);
      },
    );
    writeFileSync(weights, bytes);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/model\.safetensors[\s\S]*next: /);
    const after = await eventsHere(quantize("--out", out));
    expect(after.code, after.stderr).toBe(0);
    expect(codesOf(out)).toEqual(expected);
  });
});
