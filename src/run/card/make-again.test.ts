import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { mergeOptions } from "../../recipe/options/merge-options.js";
import { effortValues } from "../options/effort/efforts.js";
import { type RunOptionsInput, resolveOptions, resolveOver } from "../options/options.js";
import { parseAssignments } from "../options/parse/config-file.js";
import { toldOptions } from "../result/told/told-options.js";
import { makeAgainCommand } from "./make-again.js";

/** What a shell makes of the words of a command. */
function words(command: string): string[] {
  const script = `npx() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${command}`;
  return spawnSync("/bin/sh", ["-c", script], { encoding: "utf8" }).stdout.split("\0").slice(0, -1);
}

/** The options that the command line reads in them. */
function optionsOf(command: string): RunOptionsInput {
  const [, , model, ...rest] = words(command);
  const lists: Record<string, string[]> = {};
  let flag = "";
  for (const word of rest) {
    if (word.startsWith("--")) {
      flag = word.slice(2);
      lists[flag] ??= [];
    } else lists[flag]?.push(word);
  }
  const { set = [], calibration, format, asym, deterministic, samples, context, seed, ...single } = lists;
  const numbers = Object.fromEntries(
    Object.entries({ samples, context, seed }).map(([name, value]) => [name, value && Number(value[0])]),
  );
  const given = {
    ...{ model, calibration, format: format?.flatMap((names) => names.split(",")), ...numbers },
    ...Object.fromEntries(Object.entries(single).map(([name, [value]]) => [name, value])),
    ...(asym && { asym: true }),
    ...(deterministic && { deterministic: true }),
  };
  return mergeOptions(parseAssignments(set), given) as RunOptionsInput;
}

describe("the command that makes a result again", () => {
  it.each<[string, RunOptionsInput]>([
    ["defaults", { model: "m", scheme: "W4A16g64", calibration: ["t"], out: "o" }],
    ["round to nearest", { model: "m", scheme: "W4A16", recipe: "rtn", out: "o", format: ["gguf", "onnx"] }],
    [
      "everything else",
      {
        ...{ model: "my model's $x", scheme: "W3A16g64", asym: true, calibration: ["a b.txt", "--c"], out: "o" },
        ...{ samples: 12, context: 512, seed: 3, deterministic: true, finish: "none", preset: "paper" },
        window: { epochs: 2, size: 3 },
        overrides: [{ pattern: "*down_proj", bits: 4 }],
        compute: { dtype: "float32" },
      },
    ],
    [
      "text that the model makes up",
      { model: "m", scheme: "W4A16", calibration: ["self-generated"], out: "o", selfGenerated: { scripts: [] } },
    ],
    [
      "an export's option",
      { model: "m", scheme: "W4A16g32", recipe: "rtn", out: "o", format: ["gguf"], ggufEmbedding: "q8_0" },
    ],
  ])("has every option that matters: %s", (_, given) => {
    const options = resolveOptions(given);
    const command = makeAgainCommand({ options: toldOptions(options) }) ?? "";
    const again = resolveOptions(optionsOf(command));
    const { model, out, calibration, ...rest } = options;
    expect(again).toMatchObject({ ...rest, out: "OUT", model: `./${model}` });
    expect(again.calibration).toEqual(calibration.map((text) => (text === "self-generated" ? text : `./${text}`)));
  });

  it("names a model of the hub with its commit, and only what differs from the defaults", () => {
    const options = resolveOptions({ model: "owner/name", revision: "main", scheme: "W4A16", recipe: "rtn", out: "o" });
    const commit = "0123456789".repeat(4);
    const command = makeAgainCommand({ options: toldOptions(options), origin: { commit, model: "", calibration: [] } });
    expect(command).toBe(
      `npx crossblock quantize owner/name --revision ${commit} --scheme W4A16 --recipe rtn --out OUT`,
    );
  });

  it.each(["quick", "normal", "best"] as const)("names effort %s and text that the run chose itself", (name) => {
    const given = { model: "m", scheme: "W4A16g64", out: "o", seed: 3 };
    const options = resolveOver(effortValues(name, "cbq", {}), given);
    const calibration = { source: "bundled", tokens: 9, sequences: 2, context: 4 };
    const command = makeAgainCommand({ options: toldOptions(options), effort: { name }, calibration });
    expect(command).toBe(
      `npx crossblock quantize ./m --scheme W4A16g64 --recipe cbq --calibration bundled --effort ${name} --seed 3 --out OUT`,
    );
  });

  it("names what differs from its effort, values that are the defaults among them", () => {
    const options = resolveOver(effortValues("quick", "cbq", {}), {
      ...{ model: "m", scheme: "W4A16g64", calibration: ["t"], out: "o", samples: 128 },
    });
    const command = makeAgainCommand({ options: toldOptions(options), effort: { name: "quick" } });
    expect(command).toContain(" --calibration ./t --effort quick --samples 128 --out OUT");
  });

  it("is none for options of another version", () => {
    expect(makeAgainCommand({ options: { model: "m", old: 1 } })).toBeNull();
  });
});
