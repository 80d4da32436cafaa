import { Command } from "commander";
import { configSchema } from "../../run/options/config-schema.js";

/** `crossblock schema` */
export function schemaCommand(): Command {
  return new Command("schema").action(() => {
    process.stdout.write(`${JSON.stringify(configSchema(), null, 2)}\n`);
  });
}
