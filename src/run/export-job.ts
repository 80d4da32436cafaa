import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { readModelConfig } from "../checkpoint/model-config.js";
import { InputError } from "../errors.js";
import {
  type CompressedTensorsFolder,
  isCompressedTensors,
  openCompressedTensors,
} from "../format/compressed-tensors/read.js";
import { exporters } from "../format/exporters.js";
import { schemeLabel } from "../format/model-label.js";
import { requireComplete } from "../format/source-spec.js";
import type { ExportEvent } from "./events.js";
import type { ExportResultOptions } from "./export-result-options.js";
import { OutputFolder } from "./output-folder.js";
import type { RequestContext } from "./serve-requests.js";
import { type PlannedFormat, planExports, writeExport } from "./write-exports.js";

/** Writes a finished result in other formats; everything is checked before anything is written. */
export async function exportJob(
  options: ExportResultOptions,
  context: RequestContext<ExportEvent>,
): Promise<undefined> {
  using result = await openResult(options.result);
  requireComplete(result);
  const out = options.out ?? options.result;
  const planned = planExports(result, options.format, options);
  const placed = planned.map((plan) => ({ plan, path: join(out, plan.path) }));
  if (!options.force) for (const { path } of placed) await assertFree(path);
  context.emit({
    event: "export-plan",
    result: options.result,
    scheme: schemeLabel(result),
    exports: placed.map(({ plan: { format, bytes }, path }) => ({ format, path, bytes })),
  });
  for (const { plan, path } of placed) await writeComplete(plan, path, result, options, context);
  return undefined;
}

/** @throws InputError for a folder that is no result */
async function openResult(folder: string): Promise<CompressedTensorsFolder> {
  if (isCompressedTensors(await readModelConfig(folder))) return openCompressedTensors(folder);
  throw new InputError({
    where: folder,
    what: "is no result of crossblock",
    why: "its config.json tells of no compressed-tensors weights",
    next: "give the folder that `crossblock quantize` wrote",
  });
}

async function writeComplete(
  plan: PlannedFormat,
  path: string,
  result: CompressedTensorsFolder,
  options: ExportResultOptions,
  context: RequestContext<ExportEvent>,
): Promise<void> {
  if (exporters[plan.format].kind === "file") {
    await writeExport(plan, result, { target: path, shown: path }, options, context);
    return;
  }
  await using folder = await OutputFolder.create(path, { force: true });
  await writeExport(plan, result, { target: folder.staging, shown: path }, options, context);
  await folder.commit();
}

async function assertFree(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null || (found.isDirectory() && (await readdir(path)).length === 0)) return;
  throw new InputError({
    where: path,
    what: "exists already",
    next: "choose another --out, or replace it with --force",
  });
}
