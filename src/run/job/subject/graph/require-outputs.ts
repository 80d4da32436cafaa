import { ModelError } from "../../../../errors.js";
import type { Graph } from "../../../../network/index.js";
import { numbersIn } from "../../../../tensor/index.js";

/**
 * Refuses a network whose output holds no numbers, by which nothing could be compared.
 *
 * @param shapes of the values behind its last unit, of one example
 * @throws ModelError
 */
export function requireOutputs({ file, outputs }: Graph, shapes: Readonly<Record<string, readonly number[]>>): void {
  for (const { name } of outputs) {
    const shape = shapes[name];
    if (shape === undefined || numbersIn(shape) > 0) continue;
    throw new ModelError({
      where: file,
      what: `its output "${name}" holds no numbers: [${shape.join(", ")}]`,
      next: "export the network with an output of at least one number for each example",
    });
  }
}
