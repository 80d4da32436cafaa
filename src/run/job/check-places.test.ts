import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, parse } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveOptions, type UntypedOptions } from "../options/options.js";
import { checkGuarded, checkTarget } from "./check-places.js";

describe("places that nothing is written over", () => {
  let folder = "";
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "crossblock-guard-")));
    for (const name of ["models/llama", "texts", "other"]) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "texts", "a.txt"), "text");
    writeFileSync(join(folder, "single.txt"), "text");
    symlinkSync(join(folder, "models"), join(folder, "link"));
    symlinkSync(join(folder, "models/llama"), join(folder, "deep"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const check = (given: UntypedOptions): Promise<void> => {
    const usual = { model: join(folder, "models/llama"), scheme: "W4A16", calibration: [join(folder, "texts")] };
    return checkGuarded(resolveOptions({ ...usual, out: join(folder, "new"), ...given }));
  };

  const cases: readonly (readonly [string, (folder: string) => UntypedOptions, RegExp])[] = [
    ["the model", (at) => ({ out: join(at, "models/llama") }), /is the model/],
    ["the model by a link", (at) => ({ out: join(at, "link/llama") }), /is the model/],
    ["a folder that holds the model", (at) => ({ out: join(at, "models") }), /holds the model/],
    ["a link to a folder that holds the model", (at) => ({ out: join(at, "link") }), /holds the model/],
    ["a folder in the model", (at) => ({ out: join(at, "models/llama/w4/deep") }), /lies in the model/],
    [
      "the model that is a link",
      (at) => ({ model: join(at, "link/llama"), out: join(at, "models") }),
      /holds the model/,
    ],
    ["the text", (at) => ({ out: join(at, "texts") }), /is the calibration text/],
    ["a folder in the text's", (at) => ({ out: join(at, "texts/w4") }), /lies in the calibration text/],
    [
      "a folder that holds a text file",
      (at) => ({ out: at, model: "/m", calibration: [join(at, "single.txt")] }),
      /holds the calibration text/,
    ],
    ["the work folder", (at) => ({ out: join(at, "w"), work: join(at, "w") }), /--out.*is the work folder/],
    ["a folder in the work folder", (at) => ({ out: join(at, "w/o"), work: join(at, "w") }), /lies in the work folder/],
    ["a folder that holds the work folder", (at) => ({ work: join(at, "new/work") }), /holds the work folder/],
    ["the working directory", () => ({ out: "." }), /is the working directory/],
    ["a folder above it", () => ({ out: "..", model: "/m", calibration: ["/t"] }), /holds the working directory/],
    ["the home folder", () => ({ out: homedir() }), /is your home folder|holds the working directory/],
    ["~", () => ({ out: "~" }), /is your home folder|holds the working directory/],
    ["the model by .. behind a link", (at) => ({ out: `${at}/link/llama/../llama` }), /is the model/],
    ["the model beside what a link leads to", (at) => ({ out: `${at}/deep/../llama` }), /is the model/],
    ["the model beside it for work", (at) => ({ work: `${at}/deep/../llama/w` }), /--work.*lies in the model/],
    ["a root", () => ({ out: parse(process.cwd()).root }), /is the root of a file system/],
    ["the model for work", (at) => ({ work: join(at, "models/llama") }), /--work.*is the model/],
    ["the text for work", (at) => ({ work: join(at, "texts/work") }), /--work.*lies in the calibration text/],
    ["the working directory for work", () => ({ work: process.cwd() }), /--work.*is the working directory/],
  ];
  it.each(cases)("refuses %s, forced or not, and offers no force", async (_name, given, message) => {
    for (const force of [false, true]) {
      const error: unknown = await check({ ...given(folder), force }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ exitCode: 2, message: expect.stringMatching(message) as string });
      expect((error as Error).message).toMatch(/Next: choose a new folder for --(out|work)/);
      expect((error as Error).message).not.toContain("force");
    }
  });

  it("refuses a link that leads nowhere, at the place and on the way to it, before anything is done", async () => {
    symlinkSync("nowhere", join(folder, "dead"));
    for (const out of ["dead", "dead/result", "other/../dead/a/b"].map((path) => join(folder, path))) {
      for (const force of [false, true]) {
        await expect(checkTarget(out, { force })).rejects.toThrow(/dead: is a link that leads nowhere/);
      }
    }
    await checkTarget(join(folder, "other/new/deep"), { force: false });
  });

  it("takes what lies beside all of them", async () => {
    await check({});
    await check({ out: join(folder, "models/llama-w4"), work: join(folder, "other/work") });
    // Text may lie beside the result; only a folder of text gets nothing new.
    await check({ out: join(folder, "w4"), calibration: [join(folder, "single.txt")] });
    await check({ out: "w4-of-this-test" });
  });
});
