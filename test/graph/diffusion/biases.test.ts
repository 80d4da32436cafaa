import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import { throughUnits } from "../../../src/network/graph/testing/through-units.js";
import { GraphTensors, type Ports } from "../../../src/network/index.js";
import type { RecipeOptionsInput } from "../../../src/recipe/options/recipe-options.js";
import { liveHandles, noGrad, scope, type Tensor } from "../../../src/tensor/index.js";
import { on } from "../../../src/tensor/testing/test-device.js";
import { openSmallDiffusion, quantizeSmallDiffusion, type SmallDiffusion } from "./small-diffusion.js";

const folder = temporaryFolder();
let net: SmallDiffusion;
beforeAll(() => {
  net = openSmallDiffusion(folder.path);
});
afterAll(() => {
  net[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const options = (tfmq: RecipeOptionsInput["tfmq"]): RecipeOptionsInput => ({
  finish: "none",
  tfmq: { epochs: 2, temporalSteps: 20, batch: 10, ...tfmq },
});

/** What the examples of the calibration are. */
function examples(): Ports {
  const { network, count } = net;
  const read = network.begin().run(
    Int32Array.from({ length: count }, (_, i) => i),
    [count, 1],
  );
  return Object.fromEntries(Object.entries(read).map(([name, port]) => [name, port.to(on.device)]));
}

/** By how much the mean of a channel of a value is off at most, over all examples of the calibration, by value. */
function shifts(tfmq: RecipeOptionsInput["tfmq"]): Readonly<Record<string, number>> {
  const made = quantizeSmallDiffusion(net, "tfmq", "W3A8", options(tfmq));
  return made.finished((finished) =>
    noGrad(() =>
      scope(() => {
        const found: Record<string, number> = {};
        for (const [i, { plan }] of net.network.cut.units.entries()) {
          const actual = finished.run(examples(), i + 1);
          const full = throughUnits(net.network, examples(), {}, i + 1);
          for (const name of plan.writes) {
            const off = (actual[name] as Tensor).sub(full[name] as Tensor);
            const means = off
              .reshape([off.size(0), off.size(1), -1])
              .mean(2)
              .mean(0);
            found[name] = means.abs().amax().item();
          }
        }
        return found;
      }),
    ),
  );
}

describe("biases of a quantized diffusion network", () => {
  it("leave its layers the means that they have in full precision, so that no step shifts the image one way", () => {
    const live = liveHandles();
    const [without, corrected] = [shifts({ biases: false }), shifts({ biases: true })];
    expect(liveHandles()).toBe(live);
    // Behind a quantized layer, where it is added to what is exact, and what the whole network gives.
    for (const name of ["p1", "p2", "p3", "a", "y"]) {
      expect(without[name]).toBeGreaterThan(1e-3);
      expect(corrected[name]).toBeLessThan(1e-5);
    }
  });

  it("are delivered where they changed, in place of the file's, and codes stay those of the training", () => {
    const tensors = new GraphTensors(net.network.cut);
    const [plain, corrected] = [false, true].map(
      (biases) => quantizeSmallDiffusion(net, "tfmq", "W3A8", options({ biases })).delivered,
    );
    expect([...(plain?.plain.keys() ?? [])]).toEqual([]);
    // The first block sees the same stream either way.
    expect(corrected?.weights.get("a1")).toBeDefined();
    for (const name of ["embed2", "p1", "p2", "p3"]) {
      expect(corrected?.weights.get(name)).toEqual(plain?.weights.get(name));
    }
    // c4 has none, and what embed1 reads is exact.
    expect([...(corrected?.plain.keys() ?? [])].sort()).toEqual(
      ["a1", "a4", "b1", "b4", "c1", "embed2", "p1", "p2", "p3", "y"].map((name) => `${name}.bias`),
    );
    for (const [name, bytes] of corrected?.plain ?? []) {
      const [ours, file] = [bytes, tensors.readSync(name)].map((each) => floatsFromBytes(each, "F32", name));
      expect([name, ours?.length]).toEqual([name, file?.length]);
      expect(ours).not.toEqual(file);
    }
  });
});
