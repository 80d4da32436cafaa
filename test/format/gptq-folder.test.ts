import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/checkpoint/json/json.js";
import { FormatError } from "../../src/errors.js";
import { isGptq, openGptq } from "../../src/format/gptq/read.js";
import { writeGptq } from "../../src/format/gptq/write.js";
import { configText, expectSame, mixed, out, readConfig, source, useModelFolder, weightOf } from "./model-folder.js";

useModelFolder();

describe("GPTQ folder", () => {
  it("gives back a model with mixed schemes, as version 2 because some are asymmetric", async () => {
    const original = source(mixed());
    const { files } = await writeGptq(original, out);
    expect(files).toContain("quantize_config.json");
    using written = await openGptq(out);
    await expectSame(written, original);
    expect(written.checkpointFormat).toBe("gptq_v2");
    const config = readConfig()["quantization_config"] as JsonObject;
    expect(isGptq(readConfig())).toBe(true);
    expect(JSON.parse(readFileSync(join(out, "quantize_config.json"), "utf8"))).toEqual(config);
    expect(config["dynamic"]).toEqual({
      "-:^model\\.layers\\.1\\.mlp\\.up_proj$": {},
      "+:^model\\.layers\\.0\\.mlp\\.down_proj$": { bits: 4, group_size: -1, sym: false },
      "+:^model\\.layers\\.10\\.mlp\\.up_proj$": { bits: 3, group_size: 32, sym: false },
      "+:^model\\.layers\\.2\\.mlp\\.up_proj$": { bits: 8, group_size: 64, sym: true },
    });
  });

  it("writes version 1 when all weights are symmetric, version 2 on request", async () => {
    const original = source({ a: weightOf(4, 16, true), b: weightOf(4, 16, true, 2) });
    await writeGptq(original, out);
    using first = await openGptq(out);
    expect(first.checkpointFormat).toBe("gptq");
    await expectSame(first, original);
    await writeGptq(original, out, { checkpointFormat: "gptq_v2" });
    using second = await openGptq(out);
    expect(second.checkpointFormat).toBe("gptq_v2");
    await expectSame(second, original);
  });

  it("reads quantize_config.json alone, as older tools write it", async () => {
    const original = source({ a: weightOf(4, 16, true) });
    await writeGptq(original, out);
    writeFileSync(join(out, "config.json"), configText);
    using written = await openGptq(out);
    await expectSame(written, original);
  });

  it("refuses what the format can't hold before it writes anything", async () => {
    const activations = { bits: 8, granularity: "token", dynamic: true } as const;
    const cases: readonly [Promise<unknown>, RegExp][] = [
      [writeGptq(source({ a: weightOf(6, 16, true) }), out), /6 bits.*compressed-tensors/],
      [writeGptq(source({ a: weightOf(4, 16, false) }), out, { checkpointFormat: "gptq" }), /Next: write gptq_v2/],
      [writeGptq(source({ a: weightOf(4, 16, true) }, { activations }), out), /weights only.*compressed-tensors/],
      [writeGptq(source({}), out), /no quantized Linear/],
    ];
    for (const [write, message] of cases) {
      await expect(write).rejects.toThrow(FormatError);
      await expect(write).rejects.toThrow(message);
    }
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ["bits", '"bits": 4', '"bits": 8', /a\.qzeros|a\.qweight|scales/],
    ["version", '"checkpoint_format": "gptq"', '"checkpoint_format": "marlin"', /checkpoint_format "marlin".*Next/],
    ["group", '"group_size": 16', '"group_size": 0', /group_size 0/],
    ["width", '"bits": 4', '"bits": 5', /5 bits, not 2, 3, 4, 8/],
  ] as const)("refuses a configuration with another %s", async (_, from, to, message) => {
    await writeGptq(source({ a: weightOf(4, 16, true) }), out);
    const path = join(out, "config.json");
    writeFileSync(path, readFileSync(path, "utf8").replace(from, to));
    const read = async (): Promise<void> => {
      using folder = await openGptq(out);
      await folder.readQuantized("a");
    };
    await expect(read()).rejects.toThrow(FormatError);
    await expect(read()).rejects.toThrow(message);
  });
});
