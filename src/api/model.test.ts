import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import type { EngineClient } from "../run/engine/engine-client.js";
import { compareModels, evaluate, evaluateChoices, Model } from "./model.js";

// Nothing may be asked of the engine: the options are refused before.
const model = new Model({} as EngineClient, { device: "cpu", vocabSize: 16, contextLength: 8 });

describe("options that nothing would read", () => {
  it("are refused: a seed where nothing is sampled", async () => {
    for (const options of [{ seed: 3 }, { seed: 0, temperature: 0 }]) {
      const text = model.generate("a", options);
      await expect(text.next()).rejects.toThrow(OptionError);
      await expect(model.generate("a", options).next()).rejects.toThrow(/Next: give a temperature above 0/);
    }
  });

  it("are refused: where and in what a model computes that is loaded already", async () => {
    const text = { text: "t.txt", device: "cpu" } as const;
    await expect(evaluate(model, text)).rejects.toThrow(/option "device": .*Next: .*give device to loadModel/);
    await expect(compareModels(model, { ...text, reference: "r" })).rejects.toThrow(OptionError);
    await expect(evaluateChoices(model, { choices: "c.jsonl", dtype: "bfloat16" })).rejects.toThrow(/option "dtype"/);
  });
});
