import { join } from "node:path";
import type { ResolveModelOptions } from "./download-model.js";
import { hubCacheFolder } from "./hub-environment.js";
import { type HubName, hubNameOf, localModel } from "./hub-name.js";

/**
 * The local folder of a model: a path as it is, or a name of the Hugging Face Hub (`hubNameOf`), downloaded into the same
 * cache that the Python libraries use (`models--owner--name/{blobs,snapshots,refs}`). A file appears in the snapshot only
 * when it is complete and its hash was checked; an interrupted download continues. When the hub can't or must not be
 * reached (`HF_HUB_OFFLINE`), a complete snapshot in the cache is used.
 * @throws InputError for a name that neither exists here nor on the hub
 * @throws EnvironmentError for network, space and permission
 */
export async function resolveModel(nameOrFolder: string, options: ResolveModelOptions = {}): Promise<string> {
  const named = hubNameOf(nameOrFolder);
  if (named === null) return localModel(nameOrFolder).path;
  // The hub's client is large, and most models are folders.
  const { downloadModel } = await import("./download-model.js");
  return await downloadModel(named, hubStorage(named, options.cacheFolder), options);
}

/** The folder in the cache that holds a repository of the hub, all revisions. */
export function hubStorage({ name }: HubName, cacheFolder: string = hubCacheFolder()): string {
  return join(cacheFolder, `models--${name.replace("/", "--")}`);
}
