import { stat, statfs } from "node:fs/promises";
import { EnvironmentError } from "../../errors.js";
import { quantizedBits } from "../../format/bits/bits-per-weight.js";
import { decoderUnits, networkTensors } from "../../network/index.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { storesOf, streamsOf } from "../../recipe/state/streams.js";
import { existingAncestor } from "../result/existing-ancestor.js";
import { folderBytes } from "../result/output-folder.js";
import { linearPlans } from "./linear-plans.js";
import { bytesOf } from "./memory-model.js";
import { needsTokens, type PlanInput } from "./plan.js";

/** Bytes that will be written below a path. */
export interface DiskNeed {
  readonly path: string;
  readonly bytes: number;
}

/**
 * The least that a run keeps in its work folder: the packed codes of all windows, the streams after two of them, what a
 * whole model has learnt after two parts, and what waits there by choice. The plan's estimate is higher where there is room for more.
 */
export function leastWorkBytes({ options, spec, schemes }: PlanInput): number {
  const codes = linearPlans(decoderUnits(spec), schemes).reduce(
    (sum, { layout }) => sum + quantizedBits(layout) / 8,
    0,
  );
  const recipe = recipeOf(options.recipe);
  const windows = recipe.windows(spec.blocks.length, options).length;
  const tokens = needsTokens(options) ? options.samples * options.context : 0;
  const stream = tokens * spec.hiddenSize * bytesOf(options);
  const saved = Math.min(2, windows - 1) * streamsOf(recipe, options).length * stream;
  const waiting = options.streams.storage === "disk" ? storesOf(recipe, options) * stream : 0;
  const learnt = recipe.wholeModel === undefined ? 0 : 2 * 12 * numbersOf(spec);
  return Math.ceil(codes + saved + waiting + learnt);
}

function numbersOf(spec: PlanInput["spec"]): number {
  const shapes = [...networkTensors(spec).values()];
  return shapes.reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/**
 * Refuses what the disks have no room for; what several folders need on one disk is added up, and what lies in them
 * already is not needed again.
 *
 * @throws EnvironmentError
 */
export async function checkDiskSpace(needs: readonly DiskNeed[]): Promise<void> {
  const disks = new Map<number, { folder: string; bytes: number; paths: string[] }>();
  for (const { path, bytes } of needs) {
    const folder = await existingAncestor(path);
    const { dev } = await stat(folder);
    const disk = disks.get(dev) ?? { folder, bytes: 0, paths: [] };
    disk.bytes += bytes;
    disk.paths.push(path);
    disks.set(dev, disk);
  }
  for (const { folder, bytes, paths } of disks.values()) {
    const found = await statfs(folder).catch(() => null);
    const free = found === null ? Number.POSITIVE_INFINITY : found.bavail * found.bsize;
    if (bytes <= free) continue;
    throw new EnvironmentError({
      where: folder,
      what: `about ${megabytes(bytes, Math.ceil)} will be written here, and ${megabytes(free, Math.floor)} are free`,
      why: paths.join(" and "),
      next: "free space, or choose another disk with --out and --work",
    });
  }
}

/** Bytes of what a folder holds; 0 where it is not there. */
export async function heldBytes(folder: string): Promise<number> {
  return folderBytes(folder).catch(() => 0);
}

// What is needed is rounded up and what is free down, so that the two never read alike.
function megabytes(bytes: number, round: (tenths: number) => number): string {
  const [unit, name] = bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(round((bytes / unit) * 10) / 10).toFixed(1)} ${name}`;
}
