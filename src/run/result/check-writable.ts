import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { fileSystemError } from "../../checkpoint/file-system-error.js";
import { existingAncestor } from "./existing-ancestor.js";

/**
 * Refuses a folder in which nothing can be made.
 *
 * @throws EnvironmentError
 */
export async function checkWritable(folder: string, what: string): Promise<void> {
  const existing = await existingAncestor(folder);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileSystemError(error, what, existing);
  }
}
