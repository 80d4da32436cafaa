import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OptionError } from "../../src/errors.js";
import { EngineClient } from "../../src/run/engine/engine-client.js";
import { EngineError } from "../../src/run/engine/engine-error.js";

const entry = new URL("../fixtures/scripted-worker.mjs", import.meta.url);
const inspect = (folder: string): { folder: string } => ({ folder });
const enough = new Error("enough");

/** Asks for a script and aborts at its first event. */
function abortedCall(engine: EngineClient, script: string): Promise<unknown> {
  const controller = new AbortController();
  return engine.call("inspect", inspect(script), {
    signal: controller.signal,
    onEvent: () => controller.abort(enough),
  });
}

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
    // Time for the worker to send as many as it may; however far it came, none is lost.
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
    ["synchronous work at its next poll", "busy until polled"],
    ["asynchronous work through its signal", "wait for the signal"],
  ])("stops %s, and serves the next request", async (_name, script) => {
    // So patient that it is the work that stops, and not its worker that is ended.
    await using patient = new EngineClient(entry, {}, { milliseconds: Infinity, longest: Infinity });
    await expect(abortedCall(patient, script)).rejects.toBe(enough);
    expect(await patient.call("inspect", inspect("events"))).toBe("finished");
  });

  it.each([
    ["what it has computed", "busy for ever", { milliseconds: 1, longest: Infinity }],
    ["what it has waited", "deaf", { milliseconds: Infinity, longest: 1 }],
  ])("stops work that never polls by ending the worker, by %s", async (_name, script, grace) => {
    await using impatient = new EngineClient(entry, {}, grace);
    await expect(abortedCall(impatient, script)).rejects.toBe(enough);
    await expect(impatient.call("inspect", inspect("events"))).rejects.toBeInstanceOf(EngineError);
  });

  it("stops the work when its reader leaves the loop, and serves the next request", async () => {
    await using patient = new EngineClient(entry, {}, { milliseconds: Infinity, longest: Infinity });
    for await (const event of patient.stream("inspect", inspect("busy until polled"))) {
      expect(event).toMatchObject({ stage: "busy" });
      break;
    }
    expect(await patient.call("inspect", inspect("events"))).toBe("finished");
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
