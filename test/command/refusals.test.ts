import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCutModel } from "../fixtures/cut-model.js";
import { crossblockHere } from "../fixtures/in-process/cli-in-process.js";
import { smallQuantize } from "../fixtures/prepared/small-quantize.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

let place: Workplace;
let model = "";
let out = "";
const quantize = (...args: readonly string[]): string[] => smallQuantize(model, place.text, args);
/** Where nothing appears: what is refused writes nothing. */
const unused = (): string => join(place.folder, "unused");

beforeAll(async () => {
  place = workplace(200);
  model = join(place.folder, "model");
  await writeCutModel(model, 4);
  out = join(place.folder, "result");
  const made = await crossblockHere(["quantize", model, "--scheme", "W4A16", "--recipe", "rtn", "--out", out]);
  expect(made.code, made.stderr).toBe(0);
});
afterAll(() => place[Symbol.dispose]());

describe("refuses with exit code 2, and names the next action", () => {
  const damaged = (name: string, change: (folder: string) => void): string => {
    const folder = join(place.folder, name);
    cpSync(bundledModel, folder, { recursive: true });
    change(folder);
    return folder;
  };
  const edit = (folder: string, file: string, change: (bytes: Buffer) => Buffer): void => {
    const path = join(folder, file);
    writeFileSync(path, change(readFileSync(path)));
  };
  const cases: readonly (readonly [name: string, args: () => readonly string[], message: RegExp])[] = [
    [
      "an unknown option",
      () => quantize("--out", unused(), "--set", "window.sise=2"),
      /"window\.sise".*\n.*"window\.size"/,
    ],
    ["an unknown flag", () => quantize("--out", unused(), "--sample", "2"), /unknown option '--sample'/],
    ["a missing flag", () => ["quantize", bundledModel, "--scheme", "W2A16"], /option "out": is required/],
    ["a value of another type", () => quantize("--out", unused(), "--samples", "many"), /--samples: "many"/],
    ["a group that does not divide", () => quantize("--out", unused(), "--scheme", "W2A16g100"), /groups of 100/],
    ["a model that is not there", () => ["eval", join(place.folder, "no-model"), "--text", place.text], /next: /],
    [
      "a text that is not there",
      () => ["eval", bundledModel, "--text", "/none.txt"],
      /none\.txt.*\n.*next: check the path/,
    ],
    ["a configuration that is not there", () => quantize("--out", unused(), "--config", "none.json"), /none\.json/],
    ["too little text", () => quantize("--out", unused(), "--samples", "9999"), /--samples \d+/],
    ["windows beyond the model's context", () => quantize("--out", unused(), "--context", "4096"), /--context 1024/],
    [
      "a folder that is not ours",
      () => {
        const thesis = join(place.folder, "thesis");
        mkdirSync(thesis, { recursive: true });
        writeFileSync(join(thesis, "thesis.txt"), "years of work");
        return quantize("--out", thesis);
      },
      /thesis\.txt.*\n.*--force, which moves/,
    ],
    [
      "a folder that holds the model and the text",
      () => quantize("--out", place.folder),
      /holds the (model|calibration text).*\n.*new folder/,
    ],
    [
      "a number that is none",
      () => ["generate", bundledModel, "--prompt", "a", "--temperature", "hot"],
      /--temperature/,
    ],
    [
      "a result as a source",
      () => ["quantize", out, "--scheme", "W4A16", "--recipe", "rtn", "--out", unused()],
      /quantized already/,
    ],
    [
      "a truncated checkpoint",
      () => {
        const cut = damaged("cut", (folder) =>
          edit(folder, "model.safetensors", (bytes) => bytes.subarray(0, 9_000_000)),
        );
        return ["eval", cut, "--text", place.text];
      },
      /model\.safetensors/,
    ],
    [
      "a weight that is not a number, by name",
      () => {
        const poison = (bytes: Buffer): Buffer => {
          const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()) as Record<
            string,
            { data_offsets: [number, number] }
          >;
          const offset = header["model.layers.3.mlp.up_proj.weight"]?.data_offsets[0] ?? 0;
          bytes.writeUInt16LE(0x7fc0, 8 + Number(bytes.readBigUInt64LE()) + offset);
          return bytes;
        };
        const nan = damaged("nan", (folder) => edit(folder, "model.safetensors", poison));
        return ["quantize", nan, "--scheme", "W4A16", "--recipe", "rtn", "--out", join(place.folder, "x")];
      },
      /model\.layers\.3\.mlp\.up_proj\.weight.*NaN/,
    ],
    [
      "a configuration without a key",
      () => {
        const without = (bytes: Buffer): Buffer =>
          Buffer.from(bytes.toString().replace('"hidden_size"', '"hiden_size"'));
        return ["eval", damaged("key", (folder) => edit(folder, "config.json", without)), "--text", place.text];
      },
      /hidden_size/,
    ],
    [
      "a tokenizer that does not match",
      () => {
        const smaller = (bytes: Buffer): Buffer =>
          Buffer.from(bytes.toString().replace('"vocab_size": 4096', '"vocab_size": 4000'));
        return ["eval", damaged("vocabulary", (folder) => edit(folder, "config.json", smaller)), "--text", place.text];
      },
      /4096|4000/,
    ],
    [
      "empty text",
      () => {
        writeFileSync(join(place.folder, "empty.txt"), " \n");
        return ["eval", bundledModel, "--text", join(place.folder, "empty.txt")];
      },
      /empty\.txt/,
    ],
  ];
  it.each(cases)("%s", async (_name, args, message) => {
    const { code, stderr } = await crossblockHere(args());
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/next: /i);
    expect(code, stderr).toBe(2);
    expect(stderr).not.toMatch(/\n +at /);
  });
});
