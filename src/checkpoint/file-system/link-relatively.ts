import { mkdir, readlink, rm, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";

/** Makes `path` a link to the file `target`, relative to its folder, in place of whatever file was there. */
export async function linkRelatively(target: string, path: string): Promise<void> {
  const link = relative(dirname(path), target);
  if ((await readlink(path).catch(() => null)) === link) return;
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await symlink(link, path);
}
