import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { tinyModel } from "../../testing/tiny-models.js";
import { readSpec } from "./read-spec.js";
import { resolveConfig, type TensorFacts } from "./resolve-config.js";

const llama = tinyModel("llama").config as ModelConfig;
const nothing: TensorFacts = { has: () => false, same: () => false };
const heads = (same: boolean): TensorFacts => ({ has: () => true, same: () => same });

describe("a tied head beside one of its own", () => {
  const tied = { ...llama, tie_word_embeddings: true };

  it("stays tied where both are the same, and where there is one only", () => {
    expect(resolveConfig(tied, heads(true))).toEqual({ config: tied, contradictions: [] });
    expect(resolveConfig(tied, nothing)).toEqual({ config: tied, contradictions: [] });
  });

  it("is untied where they differ, and says so", () => {
    const { config, contradictions } = resolveConfig(tied, heads(false));
    expect(config).toEqual({ ...tied, tie_word_embeddings: false });
    expect(contradictions).toHaveLength(1);
    expect(contradictions[0]?.what).toContain("lm_head.weight");
    expect(contradictions[0]?.next).toContain("delete lm_head.weight");
  });

  it("is untied where the family ties without being asked", () => {
    const opt = Object.fromEntries(
      Object.entries(tinyModel("opt").config).filter(([key]) => key !== "tie_word_embeddings"),
    ) as ModelConfig;
    expect(readSpec(opt).tied).toBe(true);
    expect(readSpec(resolveConfig(opt, heads(false)).config).tied).toBe(false);
  });
});

describe("rotary facts that contradict each other", () => {
  const scaling = { type: "linear", factor: 4 };
  const parameters = { rope_theta: 5e5, rope_type: "default" };
  const resolved = (config: ModelConfig) => resolveConfig({ ...llama, ...config }, nothing);

  it.each([
    ["both keys", { rope_parameters: parameters, rope_scaling: scaling }, 10000, { rope_type: "linear", factor: 4 }, 1],
    ["an empty rope_scaling", { rope_parameters: parameters, rope_scaling: {} }, 5e5, null, 0],
    [
      "both keys that agree",
      { rope_theta: 7, rope_parameters: { ...scaling, rope_theta: 7 }, rope_scaling: scaling },
      7,
      { rope_type: "linear", factor: 4 },
      0,
    ],
    ["two bases", { rope_theta: 7, rope_parameters: parameters }, 5e5, null, 0],
    [
      "two names of the kind",
      { rope_parameters: null, rope_theta: 9, rope_scaling: { type: "dynamic", rope_type: "linear", factor: 4 } },
      9,
      { rope_type: "linear", factor: 4 },
      0,
    ],
    [
      "two original contexts",
      {
        ...{ rope_parameters: null, rope_theta: 9, original_max_position_embeddings: 8 },
        rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 4 },
      },
      9,
      { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8 },
      0,
    ],
  ])("%s: one set of them remains", (_name, given, theta, scaled, said) => {
    const { config, contradictions } = resolved(given);
    expect(config["rope_parameters"]).toBeUndefined();
    expect([config["rope_theta"], config["rope_scaling"]]).toEqual([theta, scaled]);
    expect(readSpec(config)).toEqual(readSpec({ ...llama, ...given }));
    expect(resolveConfig(config, nothing).config).toEqual(config);
    expect(contradictions).toHaveLength(said);
    for (const { what } of contradictions) expect(what).toMatch(/rope_parameters and rope_scaling/);
  });

  it("leaves one style alone, whichever it is", () => {
    for (const config of [
      { rope_parameters: { ...scaling, rope_theta: 7 } },
      { rope_parameters: null, rope_theta: 7, rope_scaling: scaling },
    ]) {
      expect(resolved(config).config).toEqual({ ...llama, ...config });
    }
  });
});

it("takes from a Llama what other families compute and some readers look for everywhere", () => {
  const { config } = resolveConfig({ ...llama, sliding_window: 256, logit_scale: 0.5 }, nothing);
  expect(config).toEqual({ ...llama, sliding_window: null });
  const mistral = { ...(tinyModel("mistral, window of 4").config as ModelConfig) };
  expect(resolveConfig(mistral, nothing).config).toEqual(mistral);
});
