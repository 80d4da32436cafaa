import type { GivenOptions } from "../../options/options.js";
import type { Subject, SubjectPlacement } from "./subject.js";
import { TextModel } from "./text/text-model.js";

/** What a run of these options quantizes, opened: configuration and headers. */
export async function openSubject(chosen: GivenOptions, place: string, placement: SubjectPlacement): Promise<Subject> {
  return TextModel.open(chosen, place, placement);
}
