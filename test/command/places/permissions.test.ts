import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProgramOutcome, startProgram } from "../../fixtures/run-program.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";
import { writeTinyLlama } from "../../fixtures/tiny-llama.js";

const entry = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
/** Nobody's number on Linux. */
const NOBODY = 65534;

/** How to run Node as a user whom permissions bind: as ourselves, or without root's rights; null where neither works. */
function boundUser(): readonly string[] | null {
  if (process.platform === "win32") return null;
  if (process.getuid?.() !== 0) return [process.execPath];
  const command = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", process.execPath];
  // It must also reach Node and the checkout, which may lie below a closed folder.
  const reaches = spawnSync(command[0] as string, [...command.slice(1), entry, "--version"], { encoding: "utf8" });
  return reaches.status === 0 ? command : null;
}

const user = boundUser();
let place: Workplace;
let model: string;

const quantize = (out: string, ...args: readonly string[]): string[] => [
  ...["quantize", model, "--scheme", "W3A16g8", "--recipe", "rtn", "--device", "cpu", "--out", out, ...args],
];

function run(args: readonly string[]): Promise<ProgramOutcome> {
  return startProgram(args, { command: [...(user ?? []), entry], env: { ...process.env, HOME: place.folder } }).ended;
}

async function expectRefused(args: readonly string[], message: RegExp, code = 1): Promise<void> {
  const outcome = await run(args);
  expect(outcome.stderr).toMatch(message);
  expect(outcome.stderr).toMatch(/next: /);
  expect(outcome.stderr).not.toMatch(/\n +at /);
  expect(outcome.code, outcome.stderr).toBe(code);
}

/** A folder that belongs to whom the process runs as, or with which it may do no more than `mode` says. */
function folder(name: string, mode = 0o777): string {
  const path = join(place.folder, name);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

beforeAll(async () => {
  place = workplace();
  chmodSync(place.folder, 0o755);
  model = join(place.folder, "model");
  await writeTinyLlama(model);
});
afterAll(() => place[Symbol.dispose]());

describe.skipIf(user === null)("permissions (skipped where no user is bound by them)", () => {
  it("are enough where the folder of the result can be written: the same command as below", async () => {
    const out = join(folder("open"), "out");
    const { code, stderr } = await run(quantize(out));
    expect(code, stderr).toBe(0);
    expect(existsSync(join(out, "crossblock.json"))).toBe(true);
  });

  it("missing for the result: refused before anything is computed, and nothing is left", async () => {
    const closed = folder("closed", 0o555);
    await expectRefused(quantize(join(closed, "out")), /permission denied/i);
    expect(readdirSync(closed)).toEqual([]);
  });

  it("missing for the work directory: refused, and no result", async () => {
    const closed = folder("closed-work", 0o555);
    const out = join(folder("result-of-closed-work"), "out");
    await expectRefused(quantize(out, "--work", join(closed, "work")), /permission denied/i);
    expect(readdirSync(dirname(out))).toEqual([]);
  });

  it("taken from a work directory that was begun: refused, and continues once they are back", async () => {
    const home = folder("begun");
    const out = join(home, "out");
    const work = join(home, "work");
    mkdirSync(work);
    chmodSync(work, 0o555);
    await expectRefused(quantize(out, "--work", work), /permission denied/i);
    expect(existsSync(out)).toBe(false);
    chmodSync(work, 0o777);
    const { code, stderr } = await run(quantize(out, "--work", work));
    expect(code, stderr).toBe(0);
  });

  it.each(["config.json", "model.safetensors"])("missing to read %s: names the file", async (name) => {
    const copy = join(place.folder, `unreadable-${name}`);
    cpSync(model, copy, { recursive: true });
    chmodSync(join(copy, name), 0);
    const out = join(folder(`result-of-${name}`), "out");
    const outcome = await run(quantize(out).map((word) => (word === model ? copy : word)));
    expect(outcome.stderr).toMatch(/permission denied/i);
    expect(outcome.stderr).toContain(name);
    expect(outcome.stderr).toMatch(/next: /);
    expect([1, 2]).toContain(outcome.code);
    expect(readdirSync(dirname(out))).toEqual([]);
  });

  it("missing to replace a result: refused, and the old one stays whole", async () => {
    const home = folder("replaced");
    const out = join(home, "out");
    expect((await run(quantize(out))).code).toBe(0);
    const before = readFileSync(join(out, "crossblock.json"), "utf8");
    chmodSync(home, 0o555);
    await expectRefused(quantize(out, "--force"), /permission denied/i);
    chmodSync(home, 0o777);
    expect(readFileSync(join(out, "crossblock.json"), "utf8")).toBe(before);
    rmSync(home, { recursive: true });
  });
});
