import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/**
 * Files beside an ONNX network that say what it is, what images become for it and what its classes are called: with them
 * transformers.js runs it. Nothing else goes along: an ONNX file may lie in any folder.
 */
export const companionNames: ReadonlySet<string> = new Set([
  "config.json",
  "preprocessor_config.json",
  "processor_config.json",
  "labels.json",
  "labels.txt",
]);

/**
 * The folder that these files are in: that of the network, or in a repository of the Hugging Face Hub, which keeps networks in
 * `onnx/`, the one above.
 *
 * @param folder that the ONNX file is in
 */
export function companionFolder(folder: string): string {
  const whole = resolve(folder);
  const beside = [...companionNames].some((name) => existsSync(join(whole, name)));
  return basename(whole) === "onnx" && !beside ? dirname(whole) : folder;
}
