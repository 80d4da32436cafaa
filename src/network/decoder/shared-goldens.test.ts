import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { checkpointSource, readModel } from "../index.js";
import { compareGolden } from "../testing/compare-golden.js";

// Networks of many architectures that stand beside a developer's checkout; a machine without them skips this. `CROSSBLOCK_GOLDENS`
// names a folder of others.
const goldens = process.env["CROSSBLOCK_GOLDENS"] ?? join(import.meta.dirname, "../../../../shared/goldens");
const there = existsSync(goldens);
const names = there ? readdirSync(goldens).filter((name) => existsSync(join(goldens, name, "config.json"))) : [];

/** Of delta nets, what transformers computed in fp32 is 2e-4 off what fp64 gives: rounding grows with the depth, and with experts. */
const bounds: ReadonlyMap<string, number> = new Map([
  ["qwen3_5_text", 1e-3],
  ["qwen3_5_moe_text", 1e-3],
  ["qwen3_next", 3e-3],
]);

describe("networks that transformers computed, beside the checkout in shared/goldens", () => {
  if (names.length === 0) it.skip("are not on this machine", () => {});
  for (const name of names) {
    it(`${name}: logits, hidden states, and the same with a cache`, async () => {
      const folder = join(goldens, name);
      using stored = await Checkpoint.open(folder);
      // A checkpoint is a folder with a file of this name.
      using outputs = temporaryFolder();
      copyFileSync(join(folder, "golden.safetensors"), join(outputs.path, "model.safetensors"));
      using golden = await Checkpoint.open(outputs.path);
      const { spec, checkpoint } = readModel(await readModelConfig(folder), stored);
      const source = checkpointSource(checkpoint, { device: "cpu", dtype: "float32" });
      compareGolden(source, spec, golden, { lastHidden: true, bound: bounds.get(name) ?? 1e-4 });
    });
  }
});
