import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OptionError } from "../src/errors.js";
import { EngineClient } from "../src/run/engine-client.js";
import { EngineError } from "../src/run/engine-error.js";

const entry = new URL("./fixtures/scripted-worker.mjs", import.meta.url);
const inspect = (folder: string): { folder: string } => ({ folder });

describe("EngineClient", () => {
  let engine: EngineClient;
  beforeEach(() => {
    engine = new EngineClient(entry);
  });
  afterEach(() => engine[Symbol.asyncDispose]());

  it("streams every event in order, then the result, while the worker waits for a slow reader", async () => {
    const events = engine.stream("inspect", inspect("events"));
    const first = await events.next();
    expect(first.value).toMatchObject({ done: 0 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    let seen = 1;
    for (;;) {
      const next = await events.next();
      if (next.done === true) {
        expect(next.value).toBe("finished");
        break;
      }
      expect(next.value).toMatchObject({ done: seen++ });
    }
    expect(seen).toBe(2000);
  });

  it("serves requests one after the other", async () => {
    const both = [engine.call("inspect", inspect("events")), engine.call("inspect", inspect("events"))];
    expect(await Promise.all(both)).toEqual(["finished", "finished"]);
  });

  it.each([
    ["synchronous work at its next poll", "busy until polled", 500],
    ["asynchronous work through its signal", "wait for the signal", 500],
    ["work that never polls by ending the worker", "busy for ever", 2000],
  ])("stops %s", async (_name, script, milliseconds) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let aborted = 0;
    const call = engine.call("inspect", inspect(script), {
      signal: controller.signal,
      onEvent: () => {
        aborted = performance.now();
        controller.abort(reason);
      },
    });
    await expect(call).rejects.toBe(reason);
    expect(performance.now() - aborted).toBeLessThan(milliseconds);
  });

  it("stops the work when its reader leaves the loop, and serves the next request", async () => {
    for await (const event of engine.stream("inspect", inspect("busy until polled"))) {
      expect(event).toMatchObject({ stage: "busy" });
      break;
    }
    expect(await engine.call("inspect", inspect("events"))).toBe("finished");
  });

  it("keeps class, fields and exit code of an error", async () => {
    const error: unknown = await engine.call("inspect", inspect("typed error")).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OptionError);
    expect(error).toMatchObject({ what: "does not fit", where: "option", why: "of its size", exitCode: 2 });
    expect(String(error)).toBe("OptionError: option: does not fit (of its size). Next: change it");
  });

  it.each([
    ["uncaught error", "thrown in a timer"],
    ["exit", "code 7"],
  ])("reports a worker that dies: %s", async (script, why) => {
    const error: unknown = await engine.call("inspect", inspect(script)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ exitCode: 1, why: expect.stringContaining(why) as string });
    expect(String(error)).toContain("Next: ");
    await expect(engine.call("inspect", inspect("events"))).rejects.toBeInstanceOf(EngineError);
  });
});
