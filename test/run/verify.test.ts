import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GgufFile } from "../../src/format/gguf/read.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import type { Certificate, DisagreementEvent, ExportedEvent, VerifyEvent, VerifyInput } from "../../src/index.js";
import { findPackage } from "../../src/run/verify/runtime/find-package.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { type ProgramOutcome, startProgram } from "../fixtures/run-program.js";
import { llamaCppProject } from "../format/judge/llama-cpp-package.js";

// The compiled library, because the worker thread runs compiled JavaScript.
const library = (await import("../../dist/index.js" as string)) as typeof import("../../src/index.js");
const { exportResult, inspect, quantize, verifyResult } = library;

const module = "model.layers.3.mlp.up_proj";
const ggufName = "blk.3.ffn_up.weight";
let scratch = "";
let model = "";
let result = "";
let gguf = "";
const written: ExportedEvent[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-verify-"));
  model = join(scratch, "sotu-llama-7m");
  await writeCutModel(model, 4);
  result = join(scratch, "w4");
  const options = { model, scheme: "W4A16g64", recipe: "rtn", out: result } as const;
  for await (const event of quantize({ ...options, format: ["gguf", "gptq", "onnx"] })) {
    if (event.event === "exported") written.push(event);
  }
  gguf = join(result, "gguf", "sotu-llama-7m-W4A16g64-Q4_0.gguf");
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

async function verify(options: VerifyInput): Promise<{ agrees: boolean; disagreements: DisagreementEvent[] }> {
  const events: VerifyEvent[] = [];
  for await (const event of verifyResult(options)) events.push(event);
  const certified = events.find((event) => event.event === "certified");
  return {
    agrees: certified?.event === "certified" && certified.agrees,
    disagreements: events.filter((event) => event.event === "disagreement"),
  };
}

function readCertificate(folder: string): Certificate {
  return JSON.parse(readFileSync(join(folder, "certificate.json"), "utf8")) as Certificate;
}

/** A safetensors file whose header can be read and whose tensors can be changed in place. */
function editSafetensors(file: string, edit: (part: (tensor: string) => Buffer, bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<
    string,
    { readonly data_offsets: readonly [number, number] }
  >;
  edit((tensor) => {
    const [from, to] = header[tensor]?.data_offsets ?? [0, 0];
    return bytes.subarray(start + from, start + to);
  }, bytes);
  writeFileSync(file, bytes);
}

function swap(bytes: Buffer, a: number, b: number, size: number): void {
  const first = Buffer.from(bytes.subarray(a, a + size));
  bytes.copyWithin(a, b, b + size);
  bytes.set(first, b);
}

/** The file starts of two scales that differ. */
function swapTwoScales(bytes: Buffer, stride: number): void {
  const at = (i: number): number => i * stride;
  const count = bytes.length / stride;
  for (let i = 1; i < count; i++) {
    if (bytes.readUInt16LE(at(i)) === bytes.readUInt16LE(0)) continue;
    swap(bytes, 0, at(i), 2);
    return;
  }
  throw new Error("all scales are equal");
}

describe("the formats of one result", () => {
  it("are written by quantize where their runtimes look for them", () => {
    expect(written.map(({ format, path }) => [format, path])).toEqual([
      ["compressed-tensors", result],
      ["gguf", gguf],
      ["gptq", join(result, "gptq")],
      ["onnx", join(result, "onnx")],
    ]);
    expect(written.map(({ losses }) => losses)).toEqual([[], [], [], []]);
    expect(statSync(gguf).size).toBe(written[1]?.bytes);
    for (const file of ["config.json", "quantize_config.json", "tokenizer.json", "model.safetensors"]) {
      expect(filesBelow(join(result, "gptq"))).toContain(file);
    }
    // As transformers.js looks for them in a model folder.
    for (const file of ["config.json", "tokenizer.json", "onnx/model_q4.onnx", "onnx/model_q4.onnx_data"]) {
      expect(filesBelow(join(result, "onnx"))).toContain(file);
    }
  });

  it("come out of export byte for byte the same", async () => {
    const out = join(scratch, "exports");
    const formats = ["compressed-tensors", "gptq", "gguf", "onnx"] as const;
    for await (const _ of exportResult({ result, format: [...formats], out }));
    for (const format of ["gguf", "gptq", "onnx"]) {
      const files = filesBelow(join(out, format));
      expect(files).toEqual(filesBelow(join(result, format)));
      for (const file of files) {
        expect(readFileSync(join(out, format, file)).equals(readFileSync(join(result, format, file))), file).toBe(true);
      }
    }
    for (const file of filesBelow(join(out, "compressed-tensors"))) {
      const copy = readFileSync(join(out, "compressed-tensors", file));
      expect(copy.equals(readFileSync(join(result, file))), file).toBe(true);
    }
    const again: string[] = [];
    for await (const { event } of exportResult({ result, format: ["gptq"], out })) again.push(event);
    expect(again.filter((event) => event !== "progress")).toEqual(["already-there", "done"]);
    // Verified by name too, as the next line of the command says.
    expect(await verify({ result, format: ["gptq"], export: [out] })).toEqual({ agrees: true, disagreements: [] });
    expect(readCertificate(result).exports.map(({ path }) => path)).toEqual([
      result,
      join(result, "gptq"),
      join(out, "gptq"),
    ]);
  });

  it("appear complete or not at all when an export is stopped, and nothing is left behind", async () => {
    const out = join(scratch, "stopped");
    for (const format of ["gguf", "gptq", "onnx"] as const) {
      const controller = new AbortController();
      const events = exportResult({ result, format: [format], out, signal: controller.signal });
      const stopped = (async () => {
        for await (const event of events) if (event.event === "progress") controller.abort();
      })();
      await expect(stopped).rejects.toThrow(/abort/i);
    }
    expect(filesBelow(out)).toEqual([]);
  });

  it("are read back by inspect: types, bits, scales and the same histogram of codes", async () => {
    const paths = [result, join(result, "gptq"), gguf, join(result, "onnx")] as const;
    const [own, gptq, file, onnx] = await Promise.all([
      inspect(paths[0]),
      inspect(paths[1]),
      inspect(paths[2]),
      inspect(paths[3]),
    ]);
    expect([own, gptq, file, onnx].map(({ format }) => format)).toEqual(["compressed-tensors", "gptq", "gguf", "onnx"]);
    for (const { scheme, family, quantizedBitsPerWeight } of [own, gptq]) {
      expect({ scheme, family, quantizedBitsPerWeight }).toEqual({
        scheme: "W4A16g64",
        family: "llama",
        quantizedBitsPerWeight: 4.25,
      });
    }
    expect([file.scheme, onnx.scheme]).toEqual(["W4A16g64", "W4A16g64"]);
    const find = ({ tensors }: typeof own, name: string): unknown => {
      const { histogram, scales } = tensors.find((tensor) => tensor.name === name) ?? {};
      expect(histogram?.reduce((a, b) => a + b)).toBe(768 * 256);
      return { histogram, scales };
    };
    expect(find(gptq, module)).toEqual(find(own, module));
    expect(find(file, ggufName)).toEqual(find(own, module));
    expect(find(onnx, module)).toEqual(find(own, module));
  });
});

describe("what a format can't hold", () => {
  const refused = async (scheme: string, more: object): Promise<unknown> => {
    const out = join(scratch, "refused");
    const run = quantize({ model, recipe: "rtn", scheme, out, ...more });
    const error = await run.next().catch((thrown: unknown) => thrown);
    expect(readdirSync(scratch)).not.toContain("refused");
    return error;
  };

  it.each([
    ["W6A16g64", { format: ["gptq"] }, /up_proj|q_proj.*6 bits.*Next: quantize with --scheme W8A16g64, or use/],
    ["W4A8g64", { format: ["gptq"] }, /weights only.*Next: quantize with --scheme W4A16g64/],
    [
      "W8A16g64",
      { format: ["gguf"], asym: true },
      /Next: quantize with W8A16g64 symmetric.*or re-encode with --reencode/,
    ],
    ["W4A16g16", { format: ["gguf"] }, /Next: quantize with W4A16g32 symmetric, which is Q4_0/],
    ["W4A16g64", { format: ["gptq"], ggufEmbedding: "q8_0" }, /--gguf-embedding.*Next: add gguf to --format/],
    ["W4A16g64", { format: ["gguf"], ggufOutput: "q8_0" }, /uses its embedding as output/],
    ["W4A16g64", { format: ["gguf"], onnxPrecision: "fp16" }, /--onnx-precision.*Next: add onnx to --format/],
    ["W4A16g8", { format: ["onnx"] }, /blocks of 16, 32, 64 or 128.*Next: quantize with W4A16g/],
  ])("%s is refused before anything is trained, and the nearest scheme named", async (scheme, more, message) => {
    const error = await refused(scheme, more);
    expect(String(error)).toMatch(message);
    expect(error).toMatchObject({ exitCode: 2 });
  });

  it("is re-encoded on request, with the loss of each tensor, and verified as such", async () => {
    const out = join(scratch, "reencoded");
    const losses: ExportedEvent["losses"][] = [];
    const options = { model, recipe: "rtn", scheme: "W8A16g64", asym: true, out } as const;
    for await (const event of quantize({ ...options, format: ["gguf"], reencode: true })) {
      if (event.event === "exported") losses.push(event.losses);
    }
    expect(losses[1]?.length).toBe(28);
    for (const { type, relativeError } of losses[1] ?? []) {
      expect(type).toBe("Q8_0");
      expect(relativeError).toBeLessThan(1e-4);
    }
    expect(await verify({ result: out })).toEqual({ agrees: true, disagreements: [] });
    const statuses = readCertificate(out).exports[1]?.tensors.map(({ status }) => status) ?? [];
    expect(statuses.filter((status) => status === "lossy").length).toBe(28);
  });
});

describe("verify", () => {
  it("certifies a sound result, with the hashes of every file", async () => {
    expect(await verify({ result })).toEqual({ agrees: true, disagreements: [] });
    const { agrees, exports } = readCertificate(result);
    expect(agrees).toBe(true);
    const hashes = exports.map(({ tensors }) => tensors.find(({ source }) => source === module)?.hash);
    expect(hashes[0]?.codes).toMatch(/^[0-9a-f]{64}$/);
    expect(hashes).toEqual([hashes[0], hashes[0], hashes[0], hashes[0]]);
    for (const { bytes, plannedBytes, untouched } of exports) {
      expect(bytes).toBe(plannedBytes);
      expect(untouched).toEqual({ comparedWith: "source model", tensors: 10 });
    }
    const page = readFileSync(join(result, "certificate.md"), "utf8");
    expect(page).toContain("# Certificate: everything agrees");
    expect(page).toMatch(/## gguf\n\n`.*\.gguf`/);
  });

  const onnxRuntime = findPackage("onnxruntime-node");
  it.skipIf(onnxRuntime === null)(
    `lets onnxruntime judge the ONNX files${onnxRuntime === null ? " (skipped: onnxruntime-node is not installed)" : ""}`,
    async () => {
      expect(await verify({ result, format: ["onnx"] })).toEqual({ agrees: true, disagreements: [] });
      const runtime = readCertificate(result).exports[1]?.runtime;
      if (runtime === undefined || runtime.status === "absent") throw new Error(JSON.stringify(runtime));
      const { asWritten, sameWeights, texts } = runtime;
      expect(Math.abs(asWritten.perplexity / asWritten.referencePerplexity - 1)).toBeLessThan(0.01);
      expect(sameWeights?.divergence).toBeLessThan(1e-9);
      expect(sameWeights?.largestDifference).toBeLessThan(1e-3);
      expect(texts?.compared).toBe(findPackage("@huggingface/transformers") === null ? undefined : 28);
    },
  );

  it.skipIf(onnxRuntime === null || findPackage("@huggingface/transformers") === null)(
    "compares tokens where the result's path is relative too: of two names it looks like one on the hub",
    async () => {
      const [cwd, name] = [dirname(result), basename(result)];
      const { code, stderr } = await startProgram(["verify", name, "--format", "onnx"], { cwd }).ended;
      expect(code, stderr).toBe(0);
      const runtime = readCertificate(result).exports[1]?.runtime;
      expect(runtime).toMatchObject({ texts: { compared: 28, different: 0 } });
    },
  );

  const project = llamaCppProject();
  it.skipIf(project === null)(
    `lets llama.cpp judge the GGUF file${project === null ? " (skipped: node-llama-cpp is not installed)" : ""}`,
    async () => {
      const { code, stderr } = await startProgram(["verify", result, "--format", "gguf", "--project", project ?? ""])
        .ended;
      expect(code, stderr).toBe(0);
      const runtime = readCertificate(result).exports[1]?.runtime;
      if (runtime === undefined || runtime.status === "absent") throw new Error(JSON.stringify(runtime));
      const { asWritten, sameWeights, texts } = runtime;
      expect(Math.abs(asWritten.perplexity / asWritten.referencePerplexity - 1)).toBeLessThan(0.01);
      expect(asWritten.divergence).toBeLessThan(2e-3);
      expect(sameWeights?.divergence).toBeLessThan(1e-5);
      expect(sameWeights?.topAgreement).toBeGreaterThan(0.98);
      expect(texts).toEqual({ compared: 28, different: 0 });
    },
  );

  /** A copy of the result to be damaged. */
  const copied = (name: string): string => {
    const folder = join(scratch, name.replaceAll(" ", "-"));
    cpSync(result, folder, { recursive: true });
    return folder;
  };
  const ggufOf = (folder: string): string => join(folder, "gguf", "sotu-llama-7m-W4A16g64-Q4_0.gguf");

  it("is not there already for the command that made it where an export is cut off", async () => {
    const folder = copied("cut export");
    truncateSync(ggufOf(folder), 4096);
    const again = quantize({ model, scheme: "W4A16g64", recipe: "rtn", out: folder, format: ["gguf", "gptq", "onnx"] });
    await expect(again.next()).rejects.toThrow(/it is damaged/);
  });

  const editGguf = (folder: string, edit: (tensor: Buffer, bytes: Buffer) => void): void => {
    const file = ggufOf(folder);
    using opened = GgufFile.open(file);
    const dataBytes = Math.max(...[...opened.tensors.values()].map((tensor) => tensor.offset + tensor.byteLength));
    const bytes = readFileSync(file);
    const { offset, byteLength } = opened.tensors.get(ggufName) ?? { offset: 0, byteLength: 0 };
    const start = bytes.length - dataBytes + offset;
    edit(bytes.subarray(start, start + byteLength), bytes);
    writeFileSync(file, bytes);
  };
  const editWeights = (folder: string, edit: Parameters<typeof editSafetensors>[1]): void =>
    editSafetensors(join(folder, "model.safetensors"), edit);
  const flip = (bytes: Buffer, at: number): void => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  };
  /** Renames a tensor in the header: the one is gone, another is there that nobody knows. */
  const rename = (bytes: Buffer, name: string): void => {
    bytes.write(`${name.slice(0, -1)}_`, bytes.indexOf(`"${name}"`) + 1);
  };

  const damages: readonly (readonly [
    format: "compressed-tensors" | "gptq" | "gguf" | "onnx",
    kind: string,
    damage: (folder: string) => void,
    named: string,
    what: RegExp,
  ])[] = [
    [
      "compressed-tensors",
      "a flipped code",
      (folder) => editWeights(folder, (part) => flip(part(`${module}.weight_packed`), 1000)),
      module,
      /its codes are not those that were recorded/,
    ],
    [
      "compressed-tensors",
      "two swapped scales",
      (folder) => editWeights(folder, (part) => swapTwoScales(part(`${module}.weight_scale`), 2)),
      module,
      /its scales are not those that were recorded/,
    ],
    [
      "compressed-tensors",
      "a dropped tensor",
      (folder) => editWeights(folder, (_, bytes) => rename(bytes, `${module}.weight_scale`)),
      `${module}.weight_scale`,
      /missing/,
    ],
    [
      "compressed-tensors",
      "a changed norm",
      (folder) => editWeights(folder, (part) => flip(part("model.norm.weight"), 10)),
      "model.norm.weight",
      /its bytes are not those that were recorded/,
    ],
    [
      "gptq",
      "a flipped code",
      (folder) => editWeights(join(folder, "gptq"), (part) => flip(part(`${module}.qweight`), 1000)),
      module,
      /code \d+ instead of \d+ at row \d+, column \d+/,
    ],
    [
      "gptq",
      "two swapped scales",
      (folder) => editWeights(join(folder, "gptq"), (part) => swapTwoScales(part(`${module}.scales`), 2)),
      module,
      /scale \S+ instead of \S+ at row 0, group 0/,
    ],
    [
      "gptq",
      "a dropped tensor",
      (folder) => editWeights(join(folder, "gptq"), (_, bytes) => rename(bytes, `${module}.qweight`)),
      module,
      /is missing/,
    ],
    [
      "gptq",
      "a changed configuration",
      (folder) => {
        const file = join(folder, "gptq", "config.json");
        writeFileSync(file, readFileSync(file, "utf8").replace('"rope_theta": ', '"rope_theta": 9'));
      },
      "config.json",
      /rope_parameters is .*"rope_theta":9\d+.* instead of/,
    ],
    [
      "gguf",
      "a flipped code",
      (folder) => editGguf(folder, (tensor) => flip(tensor, 18 * 100 + 7)),
      `${ggufName} (${module})`,
      /code -?\d instead of -?\d at row \d+, column \d+/,
    ],
    [
      "gguf",
      "two swapped scales",
      (folder) => editGguf(folder, (tensor) => swapTwoScales(tensor, 18)),
      `${ggufName} (${module})`,
      /scale \S+ instead of \S+ at row 0, column 0/,
    ],
    [
      "gguf",
      "a dropped tensor",
      (folder) => editGguf(folder, (_, bytes) => bytes.write("blk.3.ffn_xx.weight", bytes.indexOf(ggufName))),
      `${ggufName} (${module})`,
      /is missing/,
    ],
    [
      "gguf",
      "other metadata",
      (folder) => editGguf(folder, (_, bytes) => flip(bytes, bytes.indexOf("llama.rope.freq_base") + 20 + 4 + 1)),
      "metadata",
      /llama\.rope\.freq_base is \S+ instead of \S+/,
    ],
    [
      "gguf",
      "bytes after the end",
      (folder) => writeFileSync(ggufOf(folder), Buffer.concat([readFileSync(ggufOf(folder)), Buffer.alloc(64)])),
      "size",
      /\d+ bytes instead of \d+/,
    ],
  ];
  const editOnnx = (folder: string, edit: (part: (tensor: string) => Buffer) => void): void => {
    const file = join(folder, "onnx", "onnx", "model_q4.onnx");
    using opened = OnnxFile.open(file);
    const bytes = readFileSync(`${file}_data`);
    edit((name) => {
      const { offset, byteLength } = opened.tensors.get(name) ?? { offset: 0, byteLength: 0 };
      return bytes.subarray(offset, offset + byteLength);
    });
    writeFileSync(`${file}_data`, bytes);
  };
  const partsOf = (folder: string): { codes: string; scales: string } => {
    using opened = OnnxFile.open(join(folder, "onnx", "onnx", "model_q4.onnx"));
    const { codes = "", scales = "" } = opened.linears.get(module) ?? {};
    return { codes, scales };
  };
  const onnxDamages: typeof damages = [
    [
      "onnx",
      "a flipped code",
      (folder) => editOnnx(folder, (part) => flip(part(partsOf(folder).codes), 1000)),
      module,
      /code \d+ instead of \d+ at row \d+, column \d+/,
    ],
    [
      "onnx",
      "two swapped scales",
      (folder) => editOnnx(folder, (part) => swapTwoScales(part(partsOf(folder).scales), 2)),
      module,
      /scale \S+ instead of \S+ at row 0, column 0/,
    ],
    [
      "onnx",
      "a changed norm",
      (folder) => editOnnx(folder, (part) => flip(part("model.norm.weight"), 10)),
      "model.norm.weight",
      /byte 10 is \d+ instead of \d+/,
    ],
    [
      "onnx",
      "a dropped tensor",
      (folder) => {
        const file = join(folder, "onnx", "onnx", "model_q4.onnx");
        const bytes = readFileSync(file);
        const name = "model.norm.weight";
        // Everywhere: the initializer and the node that reads it.
        for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1))
          bytes.write("model.norm.weighx", at);
        writeFileSync(file, bytes);
      },
      "model.norm.weight",
      /is missing/,
    ],
  ];
  it.each([...damages, ...onnxDamages])("names the tensor: %s, %s", async (format, kind, damage, named, what) => {
    const folder = copied(`${format} ${kind}`);
    damage(folder);
    const { agrees, disagreements } = await verify({ result: folder, format: [format] });
    expect(agrees).toBe(false);
    expect(disagreements.map(({ format, tensor }) => [format, tensor])).toContainEqual([format, named]);
    expect(disagreements.find(({ tensor }) => tensor === named)?.what).toMatch(what);
    expect(readFileSync(join(folder, "certificate.md"), "utf8")).toContain(`\`${named}\``);
  });

  it("does not blame an export for the result's own damage", async () => {
    const folder = copied("damaged result");
    editWeights(folder, (part) => {
      flip(part(`${module}.weight_packed`), 1000);
      flip(part("model.norm.weight"), 10);
    });
    const { disagreements } = await verify({ result: folder });
    expect(disagreements.map(({ format, tensor }) => [format, tensor])).toEqual([
      ["compressed-tensors", module],
      ["compressed-tensors", "model.norm.weight"],
    ]);
    const statuses = readCertificate(folder).exports.map(({ tensors }) =>
      [module, "model.norm.weight"].map((name) => tensors.find(({ source }) => source === name)?.status),
    );
    expect(statuses.slice(1)).toEqual([
      ["same", "unchecked"],
      ["same", "unchecked"],
      ["same", "unchecked"],
    ]);
  });

  it("exits with 1 when something disagrees, with 2 when there is nothing to check", async () => {
    const run = (...args: string[]): Promise<ProgramOutcome> => startProgram(["verify", ...args]).ended;
    const folder = copied("for the command");
    editWeights(join(folder, "gptq"), (part) => flip(part(`${module}.qweight`), 1000));
    const wrong = await run(folder, "--format", "gptq");
    expect(wrong.stdout).toMatch(/gptq: model\.layers\.3\.mlp\.up_proj: code \d+ instead of/);
    expect(wrong.code).toBe(1);
    const lines = (await run(folder, "--format", "gptq", "--json")).stdout.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { event: string; agrees?: boolean });
    expect(events.slice(-2)).toMatchObject([{ event: "certified", agrees: false }, { event: "done" }]);
    expect(await run(model)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is no result.*\n.*\n +next:/),
    });
    const bare = copied("without gptq");
    rmSync(join(bare, "gptq"), { recursive: true });
    const absent = await run(bare, "--format", "gptq");
    expect(absent.stderr).toMatch(/no export of this format\n +next: write it with: crossblock export/);
    expect(absent.code).toBe(2);
  });
});
