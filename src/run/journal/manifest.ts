import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { fileSystemError, isNotFound } from "../../checkpoint/file-system/file-system-error.js";
import { InputError } from "../../errors.js";

/**
 * States of earlier windows are kept up to this size beside the newest, so that a window that is
 * found damaged can be done again from its own start.
 */
export const KEPT_STATE_BYTES = 4e9;
/** And of no more windows than this: the manifest names them, and is written after each window. */
const KEPT_STATES = 100;

/**
 * Raised when a version can't continue what another one saved. 2: codes are packed, their hashes stand beside them. 3:
 * end-to-end training saves how many steps its optimiser took. 4: streams are saved by port.
 */
export const MANIFEST_FORMAT = 4;

/** Whether a file of a work directory is an artefact, by its name. */
export function isArtefactName(name: string): boolean {
  return /^(window|state)-\d{5,}\.[0-9a-f]{16}\.safetensors$/.test(name);
}

const artefact = z.strictObject({
  // A name, never a path: a manifest must not lead out of its folder.
  file: z.string().refine(isArtefactName),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const body = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  created: z.string(),
  /** What decides the codes, by a name that people read. */
  identity: z.record(z.string(), z.string()),
  /** What the first process chose by itself, and a continued one has to follow; the micro-batch as it is by now. */
  chosen: z.strictObject({
    microBatch: z.int().min(1),
    threads: z.int().min(1),
    finish: z.enum(["none", "scales"]),
    /** How a budget of bits was shared out: of every Linear, and what the output is expected to lose. */
    allocation: z.strictObject({ bits: z.record(z.string(), z.int().min(2).max(8)), loss: z.number() }).optional(),
  }),
  /** Finished windows in their order. */
  windows: z.array(artefact),
  /** What the window of this number starts from; null for one that starts from the checkpoint alone. */
  states: z.record(z.string().regex(/^\d+$/), artefact.nullable()),
});

const file = z.strictObject({ sha256: z.string(), body });
const fileOfAnyFormat = z.strictObject({ sha256: z.string(), body: z.looseObject({ format: z.int() }) });

type Artefact = z.output<typeof artefact>;

/** What a work directory holds. */
export type Manifest = z.output<typeof body>;

export const manifestFile = "manifest.json";

/** Of a run that begins. */
export function newManifest(identity: Manifest["identity"], chosen: Manifest["chosen"]): Manifest {
  const created = new Date().toISOString();
  return { format: MANIFEST_FORMAT, created, identity: { ...identity }, chosen, windows: [], states: {} };
}

/** The text of `manifest.json`, with the hash of what it says. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ sha256: hashOf(manifest), body: manifest }, null, 1)}\n`;
}

/**
 * Reads a work directory's manifest: null when there is none, "damaged" when it is not what was written.
 *
 * @throws EnvironmentError when it is there and can't be read; InputError when another version wrote it, in a format of its own
 */
export async function readManifest(folder: string): Promise<Manifest | null | "damaged"> {
  const path = join(folder, manifestFile);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isNotFound(error)) return null;
    throw fileSystemError(error, "the manifest can't be read", path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "damaged";
  }
  const parsed = file.safeParse(value);
  if (parsed.success) return parsed.data.sha256 === hashOf(parsed.data.body) ? parsed.data.body : "damaged";
  refuseOtherFormat(value, folder);
  return "damaged";
}

// Hours of work are not discarded for an update: who began them can continue them.
function refuseOtherFormat(value: unknown, folder: string): void {
  const parsed = fileOfAnyFormat.safeParse(value);
  if (!parsed.success || parsed.data.body.format === MANIFEST_FORMAT) return;
  // The bytes that its writer hashed: JSON keeps the order of the keys.
  const sha256 = createHash("sha256")
    .update(JSON.stringify((value as { body: unknown }).body))
    .digest("hex");
  if (sha256 !== parsed.data.sha256) return;
  throw new InputError({
    where: folder,
    what: "an unfinished run of another version of crossblock is saved here",
    why: `it is saved in format ${parsed.data.body.format}, and this version reads ${MANIFEST_FORMAT}`,
    next: "continue it with the version that began it, give --fresh to discard it, or choose another --work folder",
  });
}

// The schema fixes the order of the keys, so both sides hash the same text.
function hashOf(manifest: Manifest): string {
  return createHash("sha256")
    .update(JSON.stringify(body.parse(manifest)))
    .digest("hex");
}

/** Takes states of earlier windows off a manifest, as many as need not be kept, and returns them. */
export function dropOldStates(states: Manifest["states"], newest: number): Artefact[] {
  const dropped: Artefact[] = [];
  let [kept, bytes] = [0, 0];
  for (let window = newest; window >= 0; window--) {
    const entry = states[window];
    if (entry === null || entry === undefined) continue;
    kept++;
    bytes += entry.bytes;
    // The last one that was saved stays, however large: a run without any begins anew.
    if (kept === 1 || (kept <= KEPT_STATES && bytes <= KEPT_STATE_BYTES)) continue;
    dropped.push(entry);
    delete states[window];
  }
  return dropped;
}
