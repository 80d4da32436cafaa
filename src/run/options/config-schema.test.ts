import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config-schema.js";

const validate = new Ajv2020({ strict: false, allErrors: true }).compile(configSchema());

describe("the schema of configuration files", () => {
  it.each([
    [{}],
    [{ $schema: "./node_modules/crossblock/dist/crossblock.schema.json", scheme: "W4A16g64", samples: 8 }],
    [{ calibration: "texts", format: "gguf", context: null }],
    [{ calibration: ["a", "b"], format: ["gguf", "onnx"], window: { epochs: 0, loss: { klWeight: 0.5 } } }],
    [{ overrides: [{ pattern: "*.down_proj", bits: 8, group: "channel" }], gptq: { widths: [1, 1.2] } }],
    [{ recipes: { gptq: { gptq: { damping: 0.02 }, samples: 4 } } }],
  ])("takes %j", (file) => {
    expect(validate(file), JSON.stringify(validate.errors)).toBe(true);
  });

  it.each([
    [{ sample: 3 }],
    [{ samples: 0 }],
    [{ samples: "3" }],
    [{ format: "ggfu" }],
    [{ format: [] }],
    [{ window: { epoch: 3 } }],
    [{ recipe: "cbg" }],
    [{ overrides: [{ bits: 8 }] }],
    [{ recipes: { gptg: {} } }],
    [{ recipes: { gptq: { recipe: "rtn" } } }],
  ])("refuses %j", (file) => {
    expect(validate(file)).toBe(false);
  });

  it("has help and default of every option", () => {
    const { samples, window } = (configSchema() as { properties: Record<string, Record<string, unknown>> }).properties;
    expect(samples).toMatchObject({ description: "calibration sequences", default: 128, minimum: 1 });
    expect(window).toMatchObject({
      properties: { epochs: { default: 10, description: expect.stringMatching(/passes/) } },
    });
  });
});
