import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { crossblockHere } from "../../fixtures/in-process/cli-in-process.js";
import { guideCommands } from "./guide-commands.js";
import { writeImages, writeSmallNetwork } from "./small-network.js";

const commands = guideCommands("vision.md");

describe("the page on vision models", () => {
  const folder = temporaryFolder();
  beforeAll(async () => {
    mkdirSync(join(folder.path, "images"));
    writeSmallNetwork(folder.path);
    for (const name of ["images", "test"]) await writeImages(join(folder.path, name), 12);
    const lines = Array.from({ length: 12 }, (_, i) => `${i}.png ${i % 6}`);
    writeFileSync(join(folder.path, "labels.txt"), lines.join("\n"));
  });
  afterAll(() => folder[Symbol.dispose]());

  it("has commands", () => expect(commands.length).toBeGreaterThan(5));

  it.each(commands.map((words) => [words.join(" "), words] as const))("%s", async (_, [npx, program, ...args]) => {
    expect([npx, program]).toEqual(["npx", "crossblock"]);
    const { code, stdout, stderr } = await crossblockHere(args, folder.path);
    expect(code, `${stderr}${stdout}`).toBe(0);
  });
});
