import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OnnxTensor } from "../../../src/checkpoint/onnx/schema.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { floats, writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { smallDiffusion } from "../diffusion/small-diffusion.js";
import { guideCommands } from "./guide-commands.js";

const commands = guideCommands("diffusion.md");

/** The small network predicting so little that images stay finite through many steps of its sampler, with nothing that clips them. */
const gentle = {
  ...smallDiffusion,
  constants: { ...smallDiffusion.constants, "y.weight": quieter(smallDiffusion.constants?.["y.weight"]) },
};

function quieter({ shape = [], rawData = new Uint8Array(0) }: OnnxTensor = {}): OnnxTensor {
  const values = new Float32Array(rawData.buffer.slice(rawData.byteOffset, rawData.byteOffset + rawData.byteLength));
  return floats(
    [...values].map((value) => value * 1e-3),
    shape,
  );
}

describe("the page on diffusion models", () => {
  const folder = temporaryFolder();
  beforeAll(() => writeGraph(join(folder.path, "unet.onnx"), gentle));
  afterAll(() => folder[Symbol.dispose]());

  it("has commands", () => expect(commands.length).toBeGreaterThan(2));

  it.each(commands.map((words) => [words.join(" "), words] as const))("%s", async (_, [npx, program, ...args]) => {
    expect([npx, program]).toEqual(["npx", "crossblock"]);
    // Ten times as fast, and the same command but for its numbers.
    const fewer = args.map((word) => (word === "50" ? "5" : word));
    const short = args[0] === "quantize" ? ["--set", "tfmq.temporalSteps=10", "tfmq.epochs=1"] : [];
    const { code, stdout, stderr } = await crossblockHere([...fewer, ...short], folder.path);
    expect(code, `${stderr}${stdout}`).toBe(0);
    // It is the run that makes the picture: a result that is there can't be given one.
    const grid = args.indexOf("--samples-grid");
    if (grid > 0) expect(existsSync(join(folder.path, args[grid + 1] ?? "")), `${stderr}${stdout}`).toBe(true);
  });
});
