import type { WarningEvent } from "../../events/events.js";
import type { ExampleSource } from "./example-source.js";
import { preprocessingText } from "./image-preprocessing.js";

/** What is told where nobody said what images become before the network of this file sees them; null where somebody did. */
export function assumedPreprocessing(source: ExampleSource | null, file: string): WarningEvent | null {
  if (source?.preprocessing?.from !== "assumed") return null;
  return {
    event: "warning",
    where: file,
    message: `nothing says what images become before this network sees them; assumed: ${preprocessingText(source.preprocessing)}`,
    next: "give --set images.mean=... and the like as the network was trained, or put its preprocessor_config.json beside it",
  };
}
