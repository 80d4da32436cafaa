import { expect, it } from "vitest";
import type { Compiling } from "../../../native/build/build.mjs";
import type { ProgressEvent } from "../events/events.js";
import { firstCompile } from "./first-compile.js";

async function stages(events: AsyncGenerator<ProgressEvent, void>, limit = 100): Promise<string[]> {
  const seen: string[] = [];
  for await (const { stage } of events) {
    seen.push(stage);
    if (seen.length === limit) break;
  }
  return seen;
}

it("tells what the compiler is at until it is done", async () => {
  let finish = (_: string): void => {};
  const left = [["engine", "avx2"], ["engine"], []];
  const compiling: Compiling = {
    version: "1.13.0",
    done: new Promise((resolve) => {
      finish = resolve;
    }),
    waitingFor() {
      if (left.length === 1) finish("addon.node");
      return left.shift() ?? [];
    },
  };
  const once = "compiling the native addon for libtorch 1.13.0, once: ";
  expect(await stages(firstCompile(undefined, () => compiling))).toEqual([
    expect.stringMatching(/: \d+ s; the compiler is at engine, avx2$/),
    expect.stringMatching(/: \d+ s; the compiler is at engine$/),
    expect.stringMatching(new RegExp(`^${once}\\d+ s$`)),
  ]);
});

it("says nothing where the addon is there, and leaves what goes wrong to who needs the addon", async () => {
  expect(await stages(firstCompile(undefined, () => null))).toEqual([]);
  const missing = (): never => {
    throw new Error("no libtorch");
  };
  expect(await stages(firstCompile(undefined, missing))).toEqual([]);
  const failing: Compiling = { version: "2.0", done: Promise.reject(new Error("no")), waitingFor: () => [] };
  expect((await stages(firstCompile(undefined, () => failing))).length).toBe(1);
});

it("ends with the reason of its signal", async () => {
  const stopping = new AbortController();
  const start = (): Compiling => {
    const done = new Promise<string>((_, reject) => {
      stopping.signal.addEventListener("abort", () => reject(new Error("killed")));
    });
    return { version: "2.0", done, waitingFor: () => ["engine"] };
  };
  const events = firstCompile(stopping.signal, start);
  expect((await events.next()).done).toBe(false);
  stopping.abort(new Error("enough"));
  await expect(stages(events)).rejects.toThrow("enough");
});
