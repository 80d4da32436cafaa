import { z } from "zod";
import { expandHome, foreignHome } from "../../../checkpoint/file-system/expand-home.js";
import { systemPath } from "../../../checkpoint/file-system/system-path.js";
import { OptionError } from "../../../errors.js";

/** What to do about a path that begins with the name of a home folder. */
const next = "write the whole path, or ./ before it where a file here has that name";

/** An option that is a path: `~` is the home folder, and `..` after a link leads where the system leads. */
export const pathOption = z
  .string()
  .min(1)
  .superRefine((path, context) => {
    const message = foreignHome(path);
    if (message !== null) context.addIssue({ code: "custom", message, params: { next } });
  })
  .overwrite(followed);

/**
 * A path that is no option of a schema: an argument of a command or of a function.
 *
 * @param where the name of that argument
 * @throws OptionError for the home folder of another user
 */
export function homePath(path: string, where: string): string {
  const why = foreignHome(path);
  if (why === null) return followed(path);
  throw new OptionError({ where, what: `"${path}" can't be followed`, why, next });
}

function followed(path: string): string {
  return systemPath(expandHome(path));
}
