import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError, InputError, ModelError } from "../errors.js";
import {
  optionalBoolean,
  optionalNumber,
  optionalObject,
  optionalString,
  readModelConfig,
  requireCount,
  requireNumber,
  requireString,
} from "./model-config.js";
import { temporaryFolder } from "./testing/temporary-folder.js";

async function refusal(folder: string): Promise<InputError> {
  const error = await readModelConfig(folder).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).next.length).toBeGreaterThan(10);
  return error as InputError;
}

describe("readModelConfig", () => {
  it("says what is missing or malformed", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "config.json");
    const none = await refusal(folder.path);
    expect(none).toBeInstanceOf(ModelError);
    expect(none.message).toContain(`${folder.path}: no config.json in this folder`);
    expect((await refusal("owner/model-name")).message).toMatch(/no such model folder/);
    for (const [text, message] of [
      ["{", /invalid JSON/],
      ["[1]", /not a JSON object/],
      [`{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`, /5001 levels deep/],
      [" ".repeat(4_000_001), /more than the limit/],
    ] as const) {
      writeFileSync(path, text);
      const error = await refusal(folder.path);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toMatch(message);
      expect(error.message).toContain("config.json");
    }
    writeFileSync(path, Uint8Array.from([0x22, 0xff]));
    expect((await refusal(folder.path)).message).toMatch(/UTF-8/);
    expect((await refusal(path)).message).toMatch(/this is a file/);
    using other = temporaryFolder();
    mkdirSync(join(other.path, "config.json"));
    expect((await refusal(other.path)).message).toMatch(/not a regular file/);
  });

  it("reads a byte order mark and strings with brackets", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "config.json"), `\ufeff{"a":"[[{\\"\\\\"}`);
    expect(await readModelConfig(folder.path)).toEqual({ a: '[[{"\\' });
  });

  it("reads the bundled model's", async () => {
    const config = await readModelConfig(join(import.meta.dirname, "../../models/sotu-llama-7m"));
    expect(requireCount(config, "hidden_size")).toBe(256);
    expect(requireNumber(config, "rms_norm_eps")).toBe(1e-5);
    expect(optionalObject(config, "rope_parameters")).toEqual({ rope_theta: 10000, rope_type: "default" });
  });
});

describe("accessors", () => {
  const config = { n: 1.5, s: "x", b: false, o: { k: 1 }, nothing: null, zero: 0, list: [1] };

  it("return values of the right type, and undefined for absent keys and null", () => {
    expect(requireNumber(config, "n")).toBe(1.5);
    expect(requireString(config, "s")).toBe("x");
    expect(optionalBoolean(config, "b")).toBe(false);
    expect(optionalObject(config, "o")).toEqual({ k: 1 });
    for (const key of ["nothing", "absent", "toString", "__proto__"]) {
      expect(optionalNumber(config, key)).toBeUndefined();
      expect(optionalString(config, key)).toBeUndefined();
      expect(optionalBoolean(config, key)).toBeUndefined();
      expect(optionalObject(config, key)).toBeUndefined();
    }
  });

  it.each([
    [() => requireNumber(config, "hidden_size"), /the key hidden_size is missing.*Next: set hidden_size to a number/],
    [() => requireNumber(config, "s"), /the key s is "x", not a number/],
    [() => requireCount(config, "n"), /the key n is 1.5, not a positive integer/],
    [() => requireCount(config, "zero"), /the key zero is 0/],
    [() => requireString(config, "nothing"), /the key nothing is missing/],
    [() => optionalString(config, "n"), /not a string/],
    [() => optionalBoolean(config, "n"), /not true or false/],
    [() => optionalObject(config, "list"), /the key list is \[1\], not an object/],
    [() => optionalNumber(config, "b"), /the key b is false/],
  ])("name the key that is wrong: %#", (run, message) => {
    expect(run).toThrow(ModelError);
    expect(run).toThrow(message);
  });
});
