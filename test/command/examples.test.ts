import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { examples } from "../../src/cli/help/examples.js";
import { loadCommand } from "../../src/cli/program.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { crossblockHere } from "../fixtures/in-process/cli-in-process.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

/** A command line as a shell takes it apart. */
const words = (args: string): string[] => [...args.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
const of = (name: string): readonly string[] => (examples[name] ?? []).map(({ args }) => args.replace(/ > .*/, ""));

describe("an example of help works as it stands", () => {
  let place: Workplace;
  const crossblock = async (args: string, ...more: readonly string[]): Promise<void> => {
    const { code, stderr } = await crossblockHere([...words(args), ...more], place.folder);
    expect(code, stderr).toBe(0);
  };
  beforeAll(async () => {
    place = workplace(2000);
    await writeCutModel(join(place.folder, "model"), 1);
    // Calibration takes much text; to evaluate, a little is enough.
    const [document = ""] = readFileSync(place.text, "utf8").split("\n");
    writeFileSync(join(place.folder, "little.jsonl"), `${document}\n`);
    const question = { context: "The state of the", choices: ["union", "art"], answer: 0 };
    writeFileSync(join(place.folder, "questions.jsonl"), `${JSON.stringify(question)}\n`);
    const [rtn = ""] = of("quantize").filter((args) => args.includes("--recipe rtn"));
    await crossblock(rtn);
  });
  afterAll(() => place[Symbol.dispose]());

  it.each(of("quantize"))("%s", (args) =>
    crossblock(
      args
        .replace("texts/", place.text)
        .replace(/ --dry-run$/, "")
        .replace("--out rtn", "--out again"),
      "--dry-run",
    ),
  );
  const others = Object.keys(examples).filter((name) => !["quantize", "push", "chat", "doctor"].includes(name));
  it.each(others.flatMap((name) => of(name)))("%s", (args) => crossblock(args.replace("texts/", "little.jsonl")));
  // Without --dry-run it would ask the hub.
  it.each(of("push"))("%s", (args) => crossblock(args.replace(/ --dry-run$/, ""), "--dry-run"));
  // It reads standard input, which this process keeps; what is said in it has tests of its own.
  it.each(of("chat"))("%s has an argument and flags that chat knows", async (args) => {
    const [, ...given] = words(args);
    const command = (await loadCommand("chat")).action(() => {});
    await command.parseAsync(given, { from: "user" });
    expect(command.args).toHaveLength(1);
  });
});
