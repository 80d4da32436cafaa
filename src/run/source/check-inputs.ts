import { open } from "node:fs/promises";
import { findTextFiles, unreadable } from "../../calibration/text/text-files.js";
import { hubNameOf, localModel } from "../../checkpoint/hub/hub-name.js";
import { homePath } from "../options/parse/path-option.js";

/** What an evaluation reads beside the model. */
export interface EvaluationInputs {
  readonly text?: string | readonly string[] | undefined;
  readonly choices?: string | undefined;
  readonly reference?: string | undefined;
}

/**
 * Refuses paths that lead to nothing before a model is loaded, which may take minutes.
 *
 * @throws CalibrationError for text and questions, CheckpointError for the reference
 */
export async function checkInputs({ text, choices, reference }: EvaluationInputs): Promise<void> {
  if (text !== undefined) await findTextFiles([text].flat().map((path) => homePath(path, "text")));
  if (choices !== undefined) {
    const path = homePath(choices, "choices");
    try {
      await using _file = await open(path);
    } catch (cause) {
      throw unreadable(path, cause);
    }
  }
  if (reference === undefined) return;
  const path = homePath(reference, "reference");
  if (hubNameOf(path) === null) localModel(path);
}
