import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { GgufFile } from "../../../src/format/gguf/read.js";
import { OnnxFile } from "../../../src/format/onnx/read.js";
import {
  type ExportedResult,
  editWeights,
  exportedResult,
  flip,
  ggufName,
  module,
  verify,
} from "../../fixtures/prepared/exported-result.js";

let made: ExportedResult;
beforeAll(async () => {
  made = await exportedResult();
});
afterAll(() => made[Symbol.dispose]());

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

const editGguf = (folder: string, edit: (tensor: Buffer, bytes: Buffer) => void): void => {
  const file = made.ggufOf(folder);
  using opened = GgufFile.open(file);
  const dataBytes = Math.max(...[...opened.tensors.values()].map((tensor) => tensor.offset + tensor.byteLength));
  const bytes = readFileSync(file);
  const { offset, byteLength } = opened.tensors.get(ggufName) ?? { offset: 0, byteLength: 0 };
  const start = bytes.length - dataBytes + offset;
  edit(bytes.subarray(start, start + byteLength), bytes);
  writeFileSync(file, bytes);
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
    (folder) => editGguf(folder, (_, bytes) => bytes.write("blk.1.ffn_xx.weight", bytes.indexOf(ggufName))),
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
    (folder) =>
      writeFileSync(made.ggufOf(folder), Buffer.concat([readFileSync(made.ggufOf(folder)), Buffer.alloc(64)])),
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
it.each([...damages, ...onnxDamages])("verify names the tensor: %s, %s", async (format, kind, damage, named, what) => {
  const folder = made.copied(`${format} ${kind}`);
  damage(folder);
  const { agrees, disagreements } = await verify({ result: folder, format: [format] });
  expect(agrees).toBe(false);
  expect(disagreements.map(({ format, tensor }) => [format, tensor])).toContainEqual([format, named]);
  expect(disagreements.find(({ tensor }) => tensor === named)?.what).toMatch(what);
  expect(readFileSync(join(folder, "certificate.md"), "utf8")).toContain(`\`${named}\``);
});
