import type { ReplacedEvent } from "../events/events.js";
import type { Replaced } from "./output-folder.js";

/** What a reader should know of files that lay where a result or an export is now. */
export function replacedEvent(path: string, { removed, movedTo, moved }: Replaced): ReplacedEvent {
  return { event: "replaced", path, removed: removed.length, movedTo, moved };
}
