import { describe, expect, it } from "vitest";
import type { QuantizedLayout } from "./contract/export-source.js";
import { modelName, schemeLabel } from "./model-label.js";

const layout = (bits: number, groupSize: number, rows: number, perChannel = false): QuantizedLayout => ({
  bits,
  groupSize,
  perChannel,
  symmetric: true,
  rows,
  columns: 64,
});

describe("labels", () => {
  it("name the model as it was quantized, else by its configuration, else by its folder", () => {
    const config = { _name_or_path: "/home/someone/SmolLM" };
    expect(modelName({ name: "tiny", config, folder: "/out/w4" })).toBe("tiny");
    expect(modelName({ config, folder: "/out/w4" })).toBe("SmolLM");
    expect(modelName({ config: {}, folder: "/out/w4/" })).toBe("w4");
  });

  it("name the scheme of most weights", () => {
    const linears = new Map([
      ["a", layout(2, 32, 10)],
      ["b", layout(4, 64, 40, true)],
      ["c", layout(2, 32, 20)],
    ]);
    expect(schemeLabel({ linears, activations: null })).toBe("W4A16");
    const activations = { bits: 8, granularity: "token", dynamic: true } as const;
    expect(schemeLabel({ linears: new Map([["a", layout(4, 32, 1)]]), activations })).toBe("W4A8g32");
    expect(schemeLabel({ linears: new Map(), activations })).toBeNull();
  });
});
