import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { expandHome } from "../file-system/expand-home.js";
import { ModelFolder } from "../model-folder.js";
import type { ResolveModelOptions } from "./download-model.js";

/**
 * The local folder of a model: a path as it is, or `owner/name` of the Hugging Face Hub, downloaded into the same cache
 * that the Python libraries use (`models--owner--name/{blobs,snapshots,refs}`). A file appears in the snapshot only when
 * it is complete and its hash was checked; an interrupted download continues. When the hub can't be reached, a complete
 * snapshot in the cache is used.
 * @throws InputError for a name that neither exists here nor on the hub
 * @throws EnvironmentError for network, space and permission
 */
export async function resolveModel(nameOrFolder: string, options: ResolveModelOptions = {}): Promise<string> {
  if (!isHubName(nameOrFolder)) return ModelFolder.open(nameOrFolder).path;
  // The hub's client is large, and most models are folders.
  const { downloadModel } = await import("./download-model.js");
  return await downloadModel(nameOrFolder, hubStorage(nameOrFolder, options.cacheFolder), options);
}

/** Whether this is `owner/name` of the hub, and no folder here. */
export function isHubName(nameOrFolder: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(nameOrFolder) && !existsSync(nameOrFolder);
}

/** The folder in the cache that holds a model of the hub, all revisions. */
export function hubStorage(name: string, cacheFolder: string = hubCacheFolder()): string {
  return join(cacheFolder, `models--${name.replace("/", "--")}`);
}

/** Where models and data sets of the hub are kept; `~` in these variables is the home folder for the Python libraries too. */
export function hubCacheFolder(): string {
  const { HF_HUB_CACHE: cache, HF_HOME: home, XDG_CACHE_HOME: xdg } = process.env;
  return expandHome(cache || join(home || join(xdg || join(homedir(), ".cache"), "huggingface"), "hub"));
}
