import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openGptq } from "../../../src/format/gptq/read.js";
import { writeGptq } from "../../../src/format/gptq/write.js";
import { type RtnOptions, rtnSource } from "../rtn-source.js";
import { missingPackage, runJudge, writeDecoded } from "./judge.js";

const missing = missingPackage("gptqmodel");
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gptq-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const cases: Readonly<Record<string, RtnOptions>> = {
  "W2 g64": { schemeOf: () => ({ bits: 2, group: 64, symmetric: true }) },
  "W3 g64": { schemeOf: () => ({ bits: 3, group: 64, symmetric: true }) },
  "W4 g64": { schemeOf: () => ({ bits: 4, group: 64, symmetric: true }) },
  "W8 channel": { schemeOf: () => ({ bits: 8, group: null, symmetric: true }) },
  "W2 g32 asym": { schemeOf: () => ({ bits: 2, group: 32, symmetric: false }) },
  "W3 channel asym": { schemeOf: () => ({ bits: 3, group: null, symmetric: false }) },
  "W4 g64 asym": { schemeOf: () => ({ bits: 4, group: 64, symmetric: false }) },
  mixed: {
    schemeOf: (name) => {
      if (name.includes(".layers.0.")) return null;
      if (name.endsWith("down_proj")) return { bits: 8, group: 32, symmetric: true };
      return name.includes("self_attn")
        ? { bits: 4, group: null, symmetric: false }
        : { bits: 2, group: 64, symmetric: true };
    },
  },
};

describe.skipIf(missing !== "")(`GPTQModel reads what crossblock writes${missing}`, () => {
  it("decodes the same weights in every scheme", async () => {
    const pairs: string[] = [];
    for (const [name, options] of Object.entries(cases)) {
      const folder = join(scratch, name.replaceAll(" ", "-"));
      using source = await rtnSource("models/sotu-llama-7m", options);
      await writeGptq(source, folder);
      using written = await openGptq(folder);
      pairs.push(folder, await writeDecoded(written, `${folder}-decoded`));
    }
    const { results, log, status } = runJudge("compare_gptq.py", pairs);
    const expected = Object.keys(cases).map((name, i) => ({
      folder: pairs[2 * i],
      tensors: name === "mixed" ? 49 : 56,
      gptqmodel: { differing: [], finite: true },
      // optimum, through which transformers 5.23 loads GPTQ, ignores the overrides of single modules.
      transformers:
        name === "mixed"
          ? { error: expect.stringContaining("ignore_mismatched_sizes") }
          : { differing: [], finite: true },
    }));
    expect(results, log).toEqual(expected);
    expect(status).toBe(0);
  });
});
