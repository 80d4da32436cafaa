import { findLibtorch } from "../native/build/build.mjs";

/**
 * Before all tests: names the libtorch that is found on this machine, so that not every process that tests start asks a Python
 * for it. Tests of the search give it an environment of their own.
 */
export default function chooseLibtorch(): void {
  const found = findLibtorch();
  if (found !== null) process.env["CROSSBLOCK_LIBTORCH"] = found.root;
}
