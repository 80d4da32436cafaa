import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { TensorError } from "../../tensor/index.js";
import { type ScoreInput, scoreResult } from "./score-result.js";

const scoreNetworks = vi.hoisted(() => vi.fn());
const sampleTexts = vi.hoisted(() => vi.fn());
vi.mock("./score-networks.js", () => ({ scoreNetworks }));
vi.mock("./sample-texts.js", () => ({ sampleTexts }));

const work = temporaryFolder();
afterAll(() => work[Symbol.dispose]());

const scores = {
  tokens: 6,
  source: 3,
  result: { perplexity: 4, divergence: 0.5 },
  roundToNearest: { perplexity: 5, divergence: 0.75 },
};
const samples = [{ prompt: "p", source: "a", result: "b", roundToNearest: "c" }];
const text = { ids: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), sequences: 2, context: 4 };
const context = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };

function input(more: Partial<ScoreInput> = {}): ScoreInput {
  // What is mocked takes no look at them.
  const unread = {} as ScoreInput["networks"];
  const texts = {} as Exclude<ScoreInput["texts"], string>;
  return {
    networks: unread,
    text,
    of: "the text",
    texts,
    work: work.path,
    identity: { model: "m" },
    isNearest: false,
    ...more,
  };
}

describe("scoring a result", () => {
  beforeEach(() => {
    writeFileSync(join(work.path, "scores.json"), "{}");
    scoreNetworks.mockReset().mockReturnValue(scores);
    sampleTexts.mockReset().mockReturnValue(samples);
  });

  it("is done once: a run that is continued finds what was done, another run and other text do not", async () => {
    const first = await scoreResult(input(), context);
    expect(first.quality).toMatchObject({
      text: "2 sequences of the text",
      perplexity: { source: 3, result: 4, roundToNearest: 5 },
      divergence: 0.5,
      roundToNearestDivergence: 0.75,
    });
    expect(await scoreResult(input(), context)).toEqual(first);
    expect([scoreNetworks.mock.calls.length, sampleTexts.mock.calls.length]).toEqual([1, 1]);
    await scoreResult(input({ identity: { model: "n" } }), context);
    await scoreResult(input({ text: { ...text, ids: text.ids.slice().reverse() } }), context);
    expect([scoreNetworks.mock.calls.length, sampleTexts.mock.calls.length]).toEqual([3, 3]);
  });

  it("is kept when the texts behind it are stopped, and done again where its file is damaged", async () => {
    sampleTexts.mockImplementationOnce(() => {
      throw new Error("stopped");
    });
    await expect(scoreResult(input(), context)).rejects.toThrow("stopped");
    expect((await scoreResult(input(), context)).samples).toEqual(samples);
    expect(scoreNetworks).toHaveBeenCalledTimes(1);
    writeFileSync(join(work.path, "scores.json"), '{"key":');
    await scoreResult(input(), context);
    expect(scoreNetworks).toHaveBeenCalledTimes(2);
  });

  it("gives a reason where it can't be done, and other errors end it", async () => {
    scoreNetworks.mockImplementationOnce(() => {
      throw new TensorError("aten::mm", [], { message: "no room", code: "OUT_OF_MEMORY" });
    });
    const without = await scoreResult(input({ texts: "no tokenizer" }), context);
    expect(without).toMatchObject({ quality: null, samples: null, samplesMissing: "no tokenizer" });
    expect(without.qualityMissing).toMatch(/memory ran out/);
    scoreNetworks.mockReturnValueOnce({ ...scores, result: { perplexity: Number.NaN, divergence: 0 } });
    expect((await scoreResult(input(), context)).qualityMissing).toMatch(/no numbers/);
    scoreNetworks.mockImplementationOnce(() => {
      throw new TypeError("a mistake");
    });
    await expect(scoreResult(input(), context)).rejects.toThrow("a mistake");
  });

  it("takes the result's scores for those of round to nearest where that is what was done, and leaves out numbers that are none", async () => {
    const { quality: nearest } = await scoreResult(input({ isNearest: true }), context);
    expect(nearest).toMatchObject({ perplexity: { roundToNearest: 4 } });
    scoreNetworks.mockReturnValueOnce({
      ...scores,
      roundToNearest: { perplexity: Number.POSITIVE_INFINITY, divergence: 1 },
    });
    const { quality } = await scoreResult(input({ identity: {} }), context);
    expect(quality).toMatchObject({ perplexity: { roundToNearest: null }, roundToNearestDivergence: null });
  });
});
