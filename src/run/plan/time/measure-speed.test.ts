import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { readModelConfig } from "../../../checkpoint/model-config.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { readSpec } from "../../../network/index.js";
import { liveHandles } from "../../../tensor/index.js";
import { resolveOptions, schemeOf } from "../../options/options.js";
import { measureSpeed } from "./measure-speed.js";

const model = fileURLToPath(new URL("../../../../models/sotu-llama-7m", import.meta.url));

// What tokens take and what a step takes is told apart by sequences of a quarter, which those of 16 tokens do not have.
it.each([1, 8, 16, 24])("measures a training step on sequences of %i tokens", async (context) => {
  using folder = temporaryFolder();
  const spec = readSpec(await readModelConfig(model));
  const options = { ...resolveOptions({ model, scheme: "W2A16g64", out: "o", calibration: ["t"] }), context };
  const live = liveHandles();
  const speed = measureSpeed({
    ...{ options, scheme: schemeOf(options), spec },
    ...{ device: "cpu", dtype: "float32", scratch: folder.path },
  });
  expect(speed.context).toBe(context);
  for (const seconds of [speed.forward, speed.training]) expect(seconds).toBeGreaterThan(0);
  expect(speed.perWeight).toBeGreaterThanOrEqual(0);
  if (context <= 16) expect(speed.perWeight).toBe(0);
  expect(liveHandles()).toBe(live);
});
