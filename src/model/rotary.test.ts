import { expect, it } from "vitest";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { readSpec } from "./read-spec.js";
import { rotaryFrequencies } from "./rotary.js";
import { goldens, tinyModel } from "./testing/tiny-models.js";

it.each(goldens.frequencies)("frequencies of transformers for $rope.rope_type", ({ rope, headDim, values }) => {
  const config = { ...tinyModel("llama").config, rope_parameters: rope } as ModelConfig;
  const { positions } = readSpec(config);
  if (positions.kind !== "rotary") throw new Error("not rotary");
  const frequencies = rotaryFrequencies(positions.theta, headDim, positions.scaling);
  expect(frequencies).toHaveLength(values.length);
  values.forEach((value, i) => {
    expect((frequencies[i] ?? Number.NaN) / value).toBeCloseTo(1, 5);
  });
});
