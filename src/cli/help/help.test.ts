import type { Command } from "commander";
import { beforeAll, describe, expect, it } from "vitest";
import { recipeNames } from "../../recipe/job/recipe-names.js";
import { runOptionsSchema } from "../../run/options/options.js";
import { optionLines } from "../../run/options/parse/option-tree.js";
import { commandNames, loadCommand } from "../program.js";
import { examples } from "./examples.js";
import { flags, settingsOnly } from "./flags.js";
import { settingsHelp } from "./settings-help.js";

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp();
  return text;
}

const tooLong = (text: string): string[] => text.split("\n").filter((line) => line.length > 80);

describe.each(commandNames)("help of %s", (name) => {
  let help = "";
  beforeAll(async () => {
    help = helpOf(await loadCommand(name));
  });

  it("fits 80 columns", () => {
    expect(tooLong(help)).toEqual([]);
  });

  it("has examples, three of a command that works on something", () => {
    const shown = help.split("Examples:\n")[1] ?? "";
    const needsModel = ["quantize", "export", "verify", "eval", "generate", "chat", "inspect"].includes(name);
    expect(shown.match(/^ {2}crossblock /gm)?.length).toBe(examples[name]?.length);
    expect(examples[name]?.length).toBeGreaterThanOrEqual(needsModel ? 3 : 1);
  });
});

describe("help of quantize", () => {
  it("has groups, choices, and every option either as a flag or as a setting", async () => {
    const help = helpOf(await loadCommand("quantize"));
    const places = ["Common:", "Calibration:", "Output:", "Machine:"].map((group) => help.indexOf(`\n${group}\n`));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    const text = help.replaceAll(/\s+/g, " ");
    expect(text).toContain(`(choices: ${recipeNames.join(", ")}; default: cbq)`);
    expect(text).toContain("(choices: default, paper; default: default)");
    expect(text).toMatch(/--gguf-embedding <type> [^(]*\(choices: f32, f16, bf16, q8_0;/);
    expect(text).toMatch(/--format <names\.\.\.> [^(]*\(choices: compressed-tensors, gptq, awq, gguf, qdq, onnx, mlx;/);
    expect(text).toMatch(
      /--samples <n> calibration sequences \(default: 128; 22 with --effort quick; 512 with --effort best\)/,
    );
    const single = optionLines(runOptionsSchema).map((line) => line.name);
    const unknown = single.filter((option) => !option.includes(".") && !(option in flags) && option !== "model");
    expect(unknown, "give new options a flag and a group in flags.ts, or name them in settingsOnly").toEqual(
      settingsOnly,
    );
  });
});

describe("settings of a recipe", () => {
  /** What stands below the name of a setting, on one line. */
  const entry = (text: string, name: string): string => {
    const [, ...lines] = (text.split(`\n  ${name}`)[1] ?? "").split("\n");
    const end = lines.findIndex((line) => !line.startsWith("      "));
    return lines.slice(0, end).join(" ").replaceAll(/\s+/g, " ");
  };

  it("are those that it reads, with what its run takes", () => {
    const gptq = settingsHelp({ recipe: "gptq" });
    expect(entry(gptq, "gptq.damping")).toContain("(default: 0.01)");
    expect(entry(gptq, "rounding.start")).toBe("");
    expect(gptq).toContain("Settings that the recipe gptq reads");
    const cbq = settingsHelp({});
    expect(entry(cbq, "rounding.start")).toMatch(
      /choices: rtn, gptq, boa; default: gptq; "rtn" with rounding\.kind=lora/,
    );
    expect(entry(cbq, "window.epochs")).toMatch(
      /default: 10; 3 with --preset paper; 2 with --effort quick; 20 with --effort best/,
    );
    expect(entry(cbq, "window.batch")).toContain("[with window.epochs above 0]");
    expect(entry(cbq, "blockAp.epochs")).toBe("");
  });

  it("follow the preset, and the settings given beside it", () => {
    const paper = settingsHelp({ preset: "paper" });
    expect(entry(paper, "window.epochs")).toContain("(default: 3");
    expect(entry(paper, "rounding.kind")).toContain("default: lora");
    const lora = settingsHelp({ given: { rounding: { kind: "lora" } } });
    expect(entry(lora, "rates.rounding")).toContain("(default: 0.1");
    expect(entry(lora, "rounding.start")).toContain("default: rtn");
  });

  it("say what presets set and what overrides are", () => {
    const text = settingsHelp({}).replaceAll(/\s+/g, " ");
    expect(text).toMatch(/The preset paper of cbq sets: .*window\.epochs=3 .*rounding\.kind="lora"/);
    expect(text).toContain(`--set 'overrides=[{"pattern":"*.down_proj","bits":8}`);
  });

  it.each(recipeNames)("fit 80 columns: %s", (recipe) => {
    expect(tooLong(settingsHelp({ recipe }))).toEqual([]);
  });
});
