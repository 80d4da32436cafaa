import { describe, expect, it } from "vitest";
import { readStoredInputs, storedInputsConfig, withoutStoredInputs } from "./stored-inputs.js";

const grids = new Map([
  ["a", { scale: Math.fround(0.1), zeroPoint: 7 }],
  ["b", { scale: Math.fround(2.5), zeroPoint: 0 }],
]);

describe("ranges of inputs in config.json", () => {
  it("come back as they were written, number for number", () => {
    const config = JSON.parse(
      JSON.stringify({ model_type: "llama", ...storedInputsConfig({ bits: 4, grids }) }),
    ) as Record<string, never>;
    expect(readStoredInputs(config, "/m")).toEqual({ bits: 4, grids });
    expect(withoutStoredInputs(config)).toEqual({ model_type: "llama" });
    expect(readStoredInputs({ model_type: "llama" }, "/m")).toBeNull();
  });

  it.each<[string, object]>([
    ["other bits", { num_bits: 3 }],
    ["ranges around zero", { symmetric: true }],
    ["a scale of 0", { scale: { a: 0, b: 1 } }],
    ["a scale without its zero point", { zero_point: { a: 1 } }],
  ])("are refused with what to do: %s", (_name, change) => {
    const { crossblock } = storedInputsConfig({ bits: 4, grids }) as { crossblock: { input_activations: object } };
    const damaged = { crossblock: { input_activations: { ...crossblock.input_activations, ...change } } };
    expect(() => readStoredInputs(damaged as never, "/m")).toThrow(/m\/config\.json.*Next: take that key out/);
  });
});
