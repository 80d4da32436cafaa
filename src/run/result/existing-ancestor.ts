import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isNotFound } from "../../checkpoint/file-system/file-system-error.js";

/** The path itself or the nearest folder above it that exists: where it would be made, and whose disk it would fill. */
export async function existingAncestor(path: string): Promise<string> {
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      await stat(at);
      return at;
    } catch (error) {
      if (!isNotFound(error) || at === dirname(at)) return at;
    }
  }
}
