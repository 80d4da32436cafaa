import { describe, expect, it } from "vitest";
import { OptionError } from "../../errors.js";
import { type DecoderSpec, readSpec } from "../../network/index.js";
import { goldens, tinyModel } from "../../network/testing/tiny-models.js";
import { parseScheme } from "../../quant/scheme.js";
import { cbq } from "../cbq.js";
import { rtn } from "../rtn.js";
import { wantsRotation } from "./rotation-rule.js";

describe("wantsRotation", () => {
  it("is cbq's default for inputs of 4 bits, where the network allows it", () => {
    const spec = (name: string): DecoderSpec => readSpec(tinyModel(name).config as never);
    const opt = Object.keys(goldens.models).find((name) => tinyModel(name).config["model_type"] === "opt") as string;
    const [auto, wanted] = [{ rotation: "auto" }, { rotation: "hadamard" }] as const;
    expect(wantsRotation(cbq, auto, parseScheme("W4A4"), spec("llama"))).toBe(true);
    expect(wantsRotation(cbq, auto, parseScheme("W4A8"), spec("llama"))).toBe(false);
    expect(wantsRotation(rtn, auto, parseScheme("W4A4"), spec("llama"))).toBe(false);
    expect(wantsRotation(cbq, auto, parseScheme("W4A4"), spec(opt))).toBe(false);
    expect(wantsRotation(rtn, wanted, parseScheme("W4A16"), spec("llama"))).toBe(true);
    expect(() => wantsRotation(cbq, wanted, parseScheme("W4A4"), spec(opt))).toThrow(OptionError);
  });
});
