import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { library } from "../../fixtures/in-process/library.js";
import { type ExportedResult, exportedResult, module, verify } from "../../fixtures/prepared/exported-result.js";

const { evaluate, exportResult, inspect } = library;

let made: ExportedResult;
let out = "";

beforeAll(async () => {
  made = await exportedResult();
  out = join(made.scratch, "folders");
  for await (const _ of exportResult({ result: made.result, format: ["gptq", "awq", "mlx"], out }));
});
afterAll(() => made[Symbol.dispose]());

describe("folders of GPTQ, AWQ and MLX", () => {
  it("are verified against the result, hashes included, and a flipped code is found", async () => {
    expect(await verify({ result: made.result, format: ["gptq", "awq", "mlx"], export: [out] })).toEqual({
      agrees: true,
      disagreements: [],
    });
    for (const [format, tensor] of [
      ["awq", `${module}.qweight`],
      ["mlx", `${module}.weight`],
    ] as const) {
      const file = join(out, format, "model.safetensors");
      const bytes = readFileSync(file);
      const length = Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, { data_offsets: number[] }>;
      const at = 8 + length + (header[tensor]?.data_offsets[0] ?? Number.NaN) + 5;
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      writeFileSync(file, bytes);
      const { agrees, disagreements } = await verify({ result: made.result, format: [format], export: [out] });
      expect(agrees).toBe(false);
      expect(disagreements.map(({ tensor: named }) => named)).toEqual([module]);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      writeFileSync(file, bytes);
    }
  });

  it("are computed by eval from the written bytes, as the result itself is", async () => {
    const scores: number[] = [];
    for (const folder of [made.result, ...["gptq", "awq", "mlx"].map((format) => join(out, format))]) {
      const { value } = await evaluate(folder, { text: "test/fixtures/address.txt", context: 128, device: "cpu" });
      scores.push(value);
    }
    expect(new Set(scores).size).toBe(1);
    expect(scores[0]).toBeGreaterThan(1);
  });

  it("are shown by inspect with the same codes", async () => {
    const of = async (path: string): Promise<unknown> => {
      const { tensors } = await inspect(path);
      const { histogram, scales } = tensors.find(({ name }) => name === module) ?? {};
      return { histogram, scales };
    };
    const own = await of(made.result);
    for (const format of ["gptq", "awq", "mlx"]) expect(await of(join(out, format)), format).toEqual(own);
    expect(await inspect(join(out, "mlx"))).toMatchObject({ format: "mlx", scheme: "W4A16g64", family: "llama" });
    expect(await inspect(join(out, "awq"))).toMatchObject({ format: "awq", scheme: "W4A16g64", family: "llama" });
  });
});
