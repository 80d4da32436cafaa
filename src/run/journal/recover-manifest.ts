import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { WarningEvent } from "../events/events.js";
import { isArtefactName, type Manifest, manifestFile, readManifest } from "./manifest.js";
import { checkSameRun, type RunIdentity } from "./run-identity.js";
import { type ArtefactEntry, isIntact } from "./saved/artefact.js";

export interface RecoverOptions {
  /** The work directory. */
  readonly folder: string;
  readonly identity: RunIdentity;
  /** Windows of the whole run, with what its first process chose. */
  readonly windows: (chosen: Manifest["chosen"]) => number;
  readonly warn: (warning: WarningEvent) => void;
  readonly poll: () => void;
}

/**
 * What a work directory holds that a run can go on from: saved windows as far as they and the state after them are
 * intact. Damaged files are removed with a warning, files that the manifest does not name without one.
 *
 * @returns null when there is nothing
 * @throws InputError when it belongs to a run of other parameters, or of a version that saves otherwise; EnvironmentError
 *   when it can't be read
 */
export async function recoverManifest(options: RecoverOptions): Promise<Manifest | null> {
  const { folder, identity, warn } = options;
  const saved = await readManifest(folder);
  if (saved === "damaged") warn(damaged(join(folder, manifestFile), "nothing of the run can be continued"));
  if (saved === null || saved === "damaged") return null;
  checkSameRun(saved.identity, identity, folder);
  const manifest = intactPart(saved, options);
  removeUnnamed(folder, manifest);
  return manifest;
}

// The longest run of intact windows after which the next one can start.
function intactPart(saved: Manifest, { folder, windows, warn, poll }: RecoverOptions): Manifest {
  const total = windows(saved.chosen);
  const intact = (entry: ArtefactEntry, consequence: string): boolean => {
    if (isIntact(folder, entry, poll)) return true;
    warn(damaged(join(folder, entry.file), consequence));
    rmSync(join(folder, entry.file), { force: true });
    return false;
  };
  const broken = saved.windows.findIndex((entry, i) => !intact(entry, `window ${i + 1} is done again`));
  let next = broken === -1 ? saved.windows.length : broken;
  for (; next > 0 && next < total; next--) {
    const state = saved.states[next];
    if (state === null) break;
    if (state !== undefined && intact(state, `window ${next} is done again`)) break;
  }
  const states = Object.fromEntries(Object.entries(saved.states).filter(([window]) => Number(window) <= next));
  return { ...saved, windows: saved.windows.slice(0, next), states };
}

// What a killed process was about to write: its name never got into the manifest.
function removeUnnamed(folder: string, { windows, states }: Manifest): void {
  const named = new Set([...windows, ...Object.values(states)].map((entry) => entry?.file));
  for (const file of readdirSync(folder)) {
    if (isArtefactName(file) && !named.has(file)) rmSync(join(folder, file), { force: true });
  }
}

function damaged(where: string, consequence: string): WarningEvent {
  return {
    event: "warning",
    message: `is missing or not what was written: it is discarded, and ${consequence}`,
    where,
    next: "nothing to do; if it happens again, check the disk",
  };
}
