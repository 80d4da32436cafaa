import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { FormatError } from "../errors.js";

/** @throws FormatError when an export into `to` would overwrite the model in `from` that it is made from */
export async function assertOtherFolder(from: string, to: string): Promise<void> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
  if ((await real(from)) !== (await real(to))) return;
  throw new FormatError({
    what: "the export would overwrite the model that it is made from",
    where: to,
    next: "choose another folder for --out",
  });
}
