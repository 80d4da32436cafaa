import { Command } from "commander";
import { defaultRecipe, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import { printLine, runCommand } from "../exit.js";
import { wrapped } from "../help/wrapped.js";

/** `crossblock recipes` */
export function recipesCommand(): Command {
  return new Command("recipes")
    .option("--json", "one JSON object a line on standard output")
    .action(({ json }: { readonly json?: boolean }) =>
      runCommand({ json: json === true }, async () => {
        for (const name of recipeNames) {
          const { title, paper, about, presets, needsText } = recipeOf(name);
          const recipe = { name, title, paper, ...about, presets: Object.keys(presets), needsText };
          if (json === true) printLine({ event: "recipe", ...recipe });
          else process.stdout.write(`${recipeLines(recipe).join("\n")}\n\n`);
        }
        if (json !== true) process.stdout.write("next: crossblock quantize --recipe NAME --help-all\n");
        return 0;
      }),
    );
}

interface RecipeFacts {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly trains: string;
  readonly use: string;
  readonly cost: string;
  readonly presets: readonly string[];
}

function recipeLines({ name, title, paper, trains, use, cost, presets }: RecipeFacts): readonly string[] {
  const facts = [
    ["trains", trains],
    ["for", use],
    ["takes", cost],
    ...(presets.length > 1 ? [["presets", presets.join(", ")]] : []),
  ];
  return [
    ...wrapped(`${name}${name === defaultRecipe ? " (the default)" : ""}: ${title} (${paper})`, 0),
    ...facts.flatMap(([what = "", text = ""]) =>
      wrapped(text, 11).map((line, i) => (i === 0 ? `  ${what.padEnd(9)}${line.trimStart()}` : line)),
    ),
  ];
}
