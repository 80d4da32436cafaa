import type { UntypedOptions } from "../../../recipe/options/merge-options.js";
import { isGraph } from "../../options/graph/is-graph.js";
import type { GivenOptions } from "../../options/options.js";
import { GraphModel } from "./graph/graph-model.js";
import type { Subject, SubjectPlacement } from "./subject.js";
import { TextModel } from "./text/text-model.js";

/**
 * What a run of these options quantizes, opened: configuration and headers.
 *
 * @param written the options as they were given
 * @param place folder or file of the model
 */
export async function openSubject(
  chosen: GivenOptions,
  written: UntypedOptions,
  place: string,
  placement: SubjectPlacement,
): Promise<Subject> {
  return isGraph(chosen)
    ? GraphModel.open(chosen, written, place, placement)
    : TextModel.open(chosen, place, placement);
}
