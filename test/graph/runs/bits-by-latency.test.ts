import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { writeArray, writeSmallNetwork } from "./small-network.js";

const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
let given: readonly string[] = [];
beforeAll(() => {
  const model = writeSmallNetwork(folder.path);
  const array = writeArray(folder.path, 24);
  given = ["quantize", model, "--recipe", "brecq", "--scheme", "W4A16", "--calibration", array, "--samples", "16"];
});
afterAll(() => folder[Symbol.dispose]());

/** A run with this table: the first and the last layer have 8 bits and need no times. */
async function run(table: unknown, budget = "4", out = "out"): ReturnType<typeof crossblockHere> {
  writeFileSync(at("table.json"), typeof table === "string" ? table : JSON.stringify(table));
  return await crossblockHere([
    ...[...given, "--bits-budget", budget, "--out", at(out), "--no-score", "--no-report"],
    ...["--set", "brecq.epochs=1", "brecq.bitsBy=latency", `brecq.latency=${at("table.json")}`],
  ]);
}

describe("a budget of bits by a table of latencies", () => {
  it("lets layers have what together takes no longer than the same bits everywhere", async () => {
    // "out" gains nothing from fewer bits, "deep" much.
    const table = { deep: { 2: 1, 4: 5, 8: 9 }, out: { 4: 3, 8: 3 } };
    const { code, stderr } = await run(table);
    expect([code, stderr]).toEqual([0, expect.stringContaining("wrote qdq")]);
    const { allocation } = JSON.parse(readFileSync(join(at("out"), "crossblock.json"), "utf8"));
    // 8 bits of "out" are free, which the mean over weights would not allow; 8 of "deep" are too slow.
    expect(allocation.bits).toEqual({ stem: 8, deep: 4, out: 8, head: 8 });
    expect(allocation.meanBits).toBeGreaterThan(4);
  });

  it.each<[string, unknown, string, RegExp]>([
    ["a layer is missing", { deep: { 4: 1 } }, "4", /"out".*has no time at 2, 3, 4.*Next: add "out": \{"2": TIME/i],
    ["a time is none", { deep: { 4: -1 } }, "4", /"deep" has -1 for 4 bits.*Next: write \{"LAYER"/i],
    ["it is no JSON", "deep 4 1", "4", /it is no JSON.*Next: write/i],
    ["the fewest bits take longer", { deep: { 8: 1 }, out: { 8: 1 } }, "4", /fewest bits take 2.*--bits-budget 8/i],
  ])("is refused before it begins where %s", async (_, table, budget, message) => {
    const { code, stderr } = await run(table, budget, "refused");
    expect(code).not.toBe(0);
    expect(stderr.replace(/\s+/g, " ")).toMatch(message);
    expect(existsSync(at("refused"))).toBe(false);
  });

  it("is not read without one", async () => {
    const { stderr } = await crossblockHere([...given, "--out", at("unread"), "--set", "brecq.latency=none.json"]);
    expect(stderr.replace(/\s+/g, " ")).toMatch(/brecq\.latency.*--bits-budget/);
  });
});
