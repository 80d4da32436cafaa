import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { z } from "zod";
import { hubNameOf } from "../../../checkpoint/hub/hub-name.js";
import { textPaths } from "../../options/calibration-option.js";
import type { GivenOptions } from "../../options/options.js";
import { type ToldPlace, toldPath } from "./told-paths.js";

/** By what the same command is known again, without telling where its files lie. */
export const originShape = z.object({
  /** Commit of a model of the hub; null for a folder. */
  commit: z.string().nullable(),
  /** SHA-256 of the model's real path, or of its name on the hub. */
  model: z.string(),
  /** The same of each file or folder of calibration text. */
  calibration: z.array(z.string()),
});

export type Origin = z.output<typeof originShape>;

/**
 * Options as `crossblock.json` keeps them: paths as they lie beside the result, or by name alone; a model of the hub by its
 * name, with the revision that was asked for.
 */
export function toldOptions(options: GivenOptions): GivenOptions {
  const { out, model } = options;
  const named = hubNameOf(model);
  const paths = new Set(textPaths(options));
  return {
    ...options,
    model: named?.name ?? toldPath(model, out),
    revision: options.revision ?? named?.revision ?? null,
    calibration: options.calibration.map((text) => (paths.has(text) ? toldPath(text, out) : text)),
    out: ".",
    work: null,
  };
}

/** What is told of the places that a run reads and writes, where a text names them. */
export function toldPlaces(options: GivenOptions, folder: string): readonly ToldPlace[] {
  const told = toldOptions(options);
  return [
    { path: folder, told: told.model },
    { path: options.out, told: "." },
    ...textPaths(options).map((path) => ({ path, told: toldPath(path, options.out) })),
  ];
}

/** @param folder the model's folder, which for a model of the hub is a snapshot of the cache */
export async function originOf(options: GivenOptions, folder: string): Promise<Origin> {
  const named = hubNameOf(options.model);
  const commit = basename(resolve(folder));
  const paths = new Set(textPaths(options));
  return {
    commit: named !== null && /^[0-9a-f]{40}$/.test(commit) ? commit : null,
    model: named === null ? await hashOfPath(options.model) : hash(named.name),
    calibration: await Promise.all(
      options.calibration.map((text) => (paths.has(text) ? hashOfPath(text) : hash(text))),
    ),
  };
}

async function hashOfPath(path: string): Promise<string> {
  return hash(await realpath(path).catch(() => resolve(path)));
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
