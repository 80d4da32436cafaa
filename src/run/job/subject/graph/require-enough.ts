import type { ExampleSource } from "../../../source/graph/example-source.js";
import { graphRefusals } from "./graph-refusals.js";

/**
 * Refuses another number of examples than there are.
 *
 * @param asked how many `--samples` asks for
 * @param least examples that show each time step; 0 where steps do not matter
 * @throws CalibrationError
 */
export function requireEnough(source: ExampleSource, asked: number, least: number): void {
  if (asked > source.count) throw graphRefusals.tooFew(source, asked);
  if (asked < least) throw graphRefusals.fewerThanSteps(source, asked);
}
