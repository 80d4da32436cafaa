import { readFileSync } from "node:fs";

/** The commands of a page of the guide, as a shell takes them apart. */
export function guideCommands(page: string): readonly (readonly string[])[] {
  return [...readFileSync(`docs/guide/${page}`, "utf8").matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block = ""]) => block.trim().split("\n"))
    .map((line) => [...line.matchAll(/["']([^"']*)["']|\S+/g)].map(([word, quoted]) => quoted ?? word));
}
