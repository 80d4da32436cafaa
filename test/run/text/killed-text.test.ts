import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startProgram } from "../../fixtures/run-program.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";
import { writeTinyLlama } from "../../fixtures/tiny-llama.js";

interface Line {
  readonly event: string;
  readonly stage?: string;
  readonly done?: number;
  readonly hash?: string;
}

const [SAMPLES, CONTEXT] = [6, 256];
let place: Workplace;
beforeAll(async () => {
  place = workplace(1);
  await writeTinyLlama(join(place.folder, "model"), 3);
});
afterAll(() => place[Symbol.dispose]());

/** Runs to the end, or until `killed` says so of an event. */
async function run(out: string, killed: (line: Line) => boolean = () => false): Promise<readonly Line[]> {
  const options = ["--calibration", "self-generated", "--samples", `${SAMPLES}`, "--context", `${CONTEXT}`, "--json"];
  const given = [
    "--scheme",
    "W3A16g8",
    "--recipe",
    "gptq",
    "--device",
    "cpu",
    "--no-score",
    "--set",
    "selfGenerated.batch=1",
  ];
  const lines: Line[] = [];
  let rest = "";
  const { ended } = startProgram(
    ["quantize", join(place.folder, "model"), ...given, ...options, "--out", join(place.folder, out)],
    {
      // A cache of its own: what another run keeps there would not have to be made.
      env: { ...process.env, XDG_CACHE_HOME: join(place.folder, `cache-${out}`) },
      onOutput: (piece, child) => {
        const parts = `${rest}${piece}`.split("\n");
        rest = parts.pop() ?? "";
        const found = parts.map((line) => JSON.parse(line) as Line);
        lines.push(...found);
        if (found.some(killed)) child.kill("SIGKILL");
      },
    },
  );
  await ended;
  return lines;
}

const making = ({ event, stage }: Line): boolean => event === "progress" && stage === "making up calibration text";
const hashIn = (lines: readonly Line[]): string | undefined => lines.find(({ event }) => event === "calibrate")?.hash;

it("makes no sequence twice when it is killed while it makes text up, and makes the same text", async () => {
  const whole = hashIn(await run("whole"));
  expect(whole).toMatch(/^[0-9a-f]{64}$/);
  const cut = await run("cut", (line) => making(line) && Number(line.done) > 2 * CONTEXT);
  expect(hashIn(cut)).toBeUndefined();
  expect(existsSync(join(place.folder, "cut"))).toBe(false);
  expect(readdirSync(join(place.folder, "cut.work")).filter((name) => name.endsWith(".ids")).length).toBe(1);
  const continued = await run("cut");
  expect(hashIn(continued)).toBe(whole);
  const first = continued.find(making);
  expect(Number(first?.done)).toBeGreaterThan(2 * CONTEXT);
  expect(existsSync(join(place.folder, "cut", "crossblock.json"))).toBe(true);
});
