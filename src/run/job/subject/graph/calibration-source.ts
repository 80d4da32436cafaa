import type { Graph } from "../../../../network/index.js";
import { recipeOf } from "../../../../recipe/job/recipe-names.js";
import type { Device } from "../../../../tensor/index.js";
import { textPaths } from "../../../options/calibration-option.js";
import { type GivenOptions, schemeOf } from "../../../options/options.js";
import { needsText } from "../../../options/text/default-text.js";
import { type ExampleSource, findExamples } from "../../../source/graph/example-source.js";
import { type SampledNetwork, sampledExamples, sampledNetwork } from "../../../source/graph/sampler-source.js";
import { graphRefusals } from "./graph-refusals.js";

/** What a run on a graph is calibrated on; null where nothing is needed. */
export interface CalibrationSource {
  readonly source: ExampleSource | null;
  /** How it is sampled; null where no sampler was named. */
  readonly sampled: SampledNetwork | null;
}

/**
 * Finds what a graph is calibrated on: the examples that were given, or a run of the sampler that was named.
 *
 * @param folder of the model
 * @throws CalibrationError, OptionError where there is nothing, or both; ModelError where it can't be sampled
 */
export async function calibrationSource(
  graph: Graph,
  given: GivenOptions,
  folder: string,
  device: Device,
): Promise<CalibrationSource> {
  const paths = textPaths(given);
  const sampled = sampledNetwork(graph, given);
  if (sampled !== null) {
    if (paths.length > 0) throw graphRefusals.twoSources(given);
    return { sampled, source: sampledExamples(sampled, given.seed, device) };
  }
  if (recipeOf(given.recipe).needsTimeSteps === true) throw graphRefusals.withoutTimeSteps(given);
  if (paths.length > 0) return { sampled, source: await findExamples(graph, paths, folder, given.images) };
  if (needsText(given, schemeOf(given))) throw graphRefusals.withoutExamples(given);
  return { sampled, source: null };
}
