import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { dropKeptWorker } from "../fixtures/in-process/kept-worker.js";
import { HubServer, writeToken } from "./hub-server.js";

/** A hub of one's own, a home for its cache, and the environment that leads there. */
export interface HubRoom extends AsyncDisposable {
  readonly hub: HubServer;
  readonly folder: string;
  readonly cache: string;
  readonly at: (...names: readonly string[]) => string;
  /** Sets variables for this process and the workers that it begins; null takes one away. */
  readonly set: (variables: Readonly<Record<string, string | null>>) => void;
}

const names = ["HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"];

export async function hubRoom(): Promise<HubRoom> {
  const hub = await HubServer.start();
  const folder = mkdtempSync(join(tmpdir(), "crossblock-hub-"));
  const before = new Map([...names, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].map((name) => [name, process.env[name]]));
  const set: HubRoom["set"] = (variables) => {
    for (const [name, value] of Object.entries(variables)) {
      if (value === null) delete process.env[name];
      else process.env[name] = value;
    }
  };
  // Another hub.
  dropKeptWorker();
  const home = join(folder, "home");
  mkdirSync(home);
  set({
    ...Object.fromEntries([...before.keys()].map((name) => [name, null])),
    ...{ HF_ENDPOINT: hub.url, HF_HOME: home, HF_TOKEN: writeToken },
  });
  return {
    hub,
    folder,
    cache: join(home, "hub"),
    at: (...parts) => join(folder, ...parts),
    set,
    [Symbol.asyncDispose]: async () => {
      set(Object.fromEntries([...before].map(([name, value]) => [name, value ?? null])));
      dropKeptWorker();
      rmSync(folder, { recursive: true, force: true });
      await hub[Symbol.asyncDispose]();
    },
  };
}

/** The files below a folder, by path with `/`. */
export function filesOf(folder: string): Record<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((found) => found.isFile());
  const paths = entries.map((found) => join(found.parentPath, found.name)).sort();
  return Object.fromEntries(paths.map((path) => [relative(folder, path), readFileSync(path)]));
}
