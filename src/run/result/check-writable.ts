import { constants } from "node:fs";
import { access, lstat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { InputError } from "../../errors.js";
import { existingAncestor } from "./existing-ancestor.js";

/**
 * Refuses a folder in which nothing can be made.
 *
 * @throws EnvironmentError; InputError for a path on which a link leads nowhere
 */
export async function checkWritable(folder: string, what: string): Promise<void> {
  const existing = await existingAncestor(folder);
  await assertNoDeadLink(folder, existing);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileSystemError(error, what, existing);
  }
}

/** Of what does not exist yet, up to the folder that does, a link without a target is in the way: nothing can be made behind it. */
async function assertNoDeadLink(folder: string, existing: string): Promise<void> {
  for (let at = resolve(folder); at !== existing && at !== dirname(at); at = dirname(at)) {
    if ((await lstat(at).catch(() => null))?.isSymbolicLink() !== true) continue;
    throw new InputError({
      where: at,
      what: "is a link that leads nowhere",
      next: "make the folder that it leads to, remove the link, or choose another folder",
    });
  }
}
