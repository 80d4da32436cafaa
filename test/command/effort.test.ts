import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { type ShortRuns, shortRuns } from "../fixtures/prepared/short-runs.js";

let runs: ShortRuns;
beforeAll(async () => {
  runs = await shortRuns();
});
afterAll(() => runs[Symbol.dispose]());

const command = (out: string, ...more: readonly string[]): string[] => [
  ...["quantize", runs.model, "--scheme", "W4A16g32", "--device", "cpu", "--calibration", runs.text],
  ...["--samples", "2", "--context", "64", "--out", runs.at(out), ...more],
];

describe("the effort of a run", () => {
  it("is quick on a CPU: recorded with its values, and the same command as one that says so", async () => {
    const { events, code } = await eventsHere(command("quick"));
    expect(code).toBe(0);
    expect(events.find(({ event }) => event === "plan")).toMatchObject({
      effort: { name: "quick", chosen: "device", values: { window: { epochs: 2 }, finish: "none" } },
    });
    const record: unknown = JSON.parse(readFileSync(join(runs.at("quick"), "crossblock.json"), "utf8"));
    expect(record).toMatchObject({
      preset: "default",
      effort: { name: "quick", chosen: "device" },
      options: { effort: null, samples: 2, window: { epochs: 2 }, finish: "none" },
    });
    for (const same of [[], ["--effort", "quick"]]) {
      const again = await eventsHere(command("quick", ...same));
      expect(again.events.map(({ event }) => event)).toEqual(["run", "already-there", "done"]);
    }
    await runs.refused(command("quick", "--effort", "normal"), /window\.epochs 2 -> 10/);
    await runs.refused(command("quick", "--time", "1000h"), /a finished result of other options is there/);
  });

  it("is printed by a dry run, with what more would take", async () => {
    const { stdout } = await runs.shown(command("dry", "--dry-run"));
    expect(stdout).toMatch(/^effort: +quick because this is a CPU; --effort normal takes .* and loses/m);
    expect(stdout).toMatch(/^ +window\.epochs=2 window\.overlap=0 window\.batch=1 finish=none$/m);
    const given = await runs.shown(command("dry", "--dry-run", "--effort", "best"));
    expect(given.stdout).toMatch(/^effort: +best$/m);
  });

  it("follows from a time, which is recorded and found again", async () => {
    const timed = command("timed", "--time", "1000h", "--set", "window.epochs=1", "endToEnd.epochs=1");
    const { events, code } = await eventsHere(timed);
    expect(code).toBe(0);
    expect(events.find(({ event }) => event === "plan")).toMatchObject({
      effort: { name: "best", chosen: "time", time: "1000h", values: {} },
    });
    const again = await eventsHere(timed);
    expect(again.events.map(({ event }) => event)).toEqual(["run", "already-there", "done"]);
  });

  it("is refused where a time is too short, with one that is long enough", async () => {
    const error = await runs.refused(
      command("short", "--time", "1s"),
      /1s is too short: the least .* take here is .*(s|min|h)\b/,
    );
    const time = /--time (\d+(?:s|min))/.exec(error.next)?.[1] ?? "";
    expect(await runs.passes(command("short", "--time", time, "--dry-run"))).toBe(true);
  });
});
