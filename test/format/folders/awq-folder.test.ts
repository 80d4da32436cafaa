import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../../src/checkpoint/json/json.js";
import { FormatError } from "../../../src/errors.js";
import { isAwq, openAwq } from "../../../src/format/awq/read.js";
import { writeAwq } from "../../../src/format/awq/write.js";
import { expectSame, out, readConfig, source, useModelFolder, weightOf } from "../model-folder.js";

useModelFolder();

describe("AWQ folder", () => {
  it("gives back codes, scales and other tensors, and says what it left alone", async () => {
    const original = source({ a: weightOf(4, 16, false), b: weightOf(4, 16, false, 2) });
    await writeAwq(original, out);
    using written = await openAwq(out);
    await expectSame(written, original);
    expect(isAwq(readConfig())).toBe(true);
    expect(readConfig()["quantization_config"]).toMatchObject({
      ...{ quant_method: "awq", version: "gemm", bits: 4, group_size: 16, zero_point: true, sym: false },
      modules_to_not_convert: ["lm_head", "model.layers.1.mlp.up_proj"],
    });
  });

  it("knows symmetric weights again, all of them or some, and one group per row", async () => {
    const symmetric = source({ a: weightOf(4, null, true), b: weightOf(4, null, true, 2) });
    await writeAwq(symmetric, out);
    expect(readConfig()["quantization_config"]).toMatchObject({ group_size: -1, sym: true });
    using first = await openAwq(out);
    await expectSame(first, symmetric);
    const some = source({ a: weightOf(4, null, true), b: weightOf(4, null, false, 2) });
    await writeAwq(some, out);
    expect(readConfig()["quantization_config"]).toMatchObject({ sym: false, crossblock: { symmetric: ["a"] } });
    using second = await openAwq(out);
    await expectSame(second, some);
  });

  it("refuses what the format can't hold before it writes anything", async () => {
    const activations = { bits: 8, granularity: "token", dynamic: true } as const;
    const cases: readonly [Promise<unknown>, RegExp][] = [
      [writeAwq(source({ a: weightOf(3, 16, true) }), out), /a: AWQ has 4 bits.*--scheme W4A16g16, or.*compressed/],
      [writeAwq(source({ a: weightOf(8, null, true) }), out), /--scheme W4A16, or/],
      [
        writeAwq(source({ a: weightOf(4, 16, true), b: weightOf(4, null, true) }), out),
        /b: its groups are one per row, those of a of 16.*Next: quantize without overrides/,
      ],
      [writeAwq(source({ a: weightOf(4, 16, true) }, { activations }), out), /weights only.*compressed-tensors/],
      [writeAwq(source({ a: { ...weightOf(4, null, true), rows: 12 } }), out), /12 outputs.*by 8.*compressed-tensors/],
      [writeAwq(source({}), out), /no quantized Linear/],
    ];
    for (const [write, message] of cases) {
      await expect(write).rejects.toThrow(FormatError);
      await expect(write).rejects.toThrow(message);
    }
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ["bits", '"bits": 4', '"bits": 3', /3 bits.*Next: export/],
    ["version", '"version": "gemm"', '"version": "gemv"', /version "gemv".*gemm/],
    ["group", '"group_size": 16', '"group_size": 48', /groups of 48 columns don't divide its 64/],
    ["size of a group", '"group_size": 16', '"group_size": 32', /a\.qzeros: I32 \[4, 4\] where.*\[2, 4\]|a\.scales/],
    ["symmetry", '"sym": false', '"sym": true', /a\.qzeros: zero points off the middle/],
  ] as const)("refuses a configuration with another %s", async (_, from, to, message) => {
    await writeAwq(source({ a: weightOf(4, 16, false) }), out);
    const path = join(out, "config.json");
    const text = readFileSync(path, "utf8");
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    const read = async (): Promise<void> => {
      using folder = await openAwq(out);
      await folder.readQuantized("a");
    };
    await expect(read()).rejects.toThrow(FormatError);
    await expect(read()).rejects.toThrow(message);
  });

  it("reads the words of older files: w_bit, q_group_size, and no zero points", async () => {
    await writeAwq(source({ a: weightOf(4, 16, true) }), out);
    const config = readConfig();
    const older = { quant_method: "awq", version: "GEMM", w_bit: 4, q_group_size: 16, zero_point: false };
    writeFileSync(join(out, "config.json"), JSON.stringify({ ...config, quantization_config: older } as JsonObject));
    using written = await openAwq(out);
    expect(await written.readQuantized("a")).toEqual(weightOf(4, 16, true));
  });
});
