import { randomUUID } from "node:crypto";
import { lstat, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { isHubName, withRevision } from "../../checkpoint/hub/hub-name.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { InputError, OptionError } from "../../errors.js";
import {
  type CompressedTensorsFolder,
  isCompressedTensors,
  openCompressedTensors,
} from "../../format/compressed-tensors/read.js";
import { filesToCopy } from "../../format/copy-model-files.js";
import { exporters } from "../../format/exporters.js";
import { schemeLabel } from "../../format/model-label.js";
import { requireComplete } from "../../format/source/source-spec.js";
import type { CopiedFiles } from "../../format/written-files.js";
import { updateCard, writeExportCard } from "../card/update-card.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ExportEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { ExportResultOptions } from "../options/commands/export-result-options.js";
import { graphFile } from "../options/graph/is-graph.js";
import { checkDiskSpace } from "../plan/disk-need.js";
import { checkWritable } from "../result/check-writable.js";
import { isExported } from "../result/existing-export.js";
import { assertOwnPlace, commonGuards, type Guarded } from "../result/guarded-folders.js";
import { keepAll, moveAside, OutputFolder } from "../result/output-folder.js";
import { replacedEvent } from "../result/replaced-event.js";
import { exportContents } from "../result/result-contents.js";
import { parseResultRecord } from "../result/result-file.js";
import { graphResultAt } from "../source/graph/graph-result.js";
import { recordedSource } from "../source/recorded-source.js";
import { resolveFolder } from "../source/resolve-folder.js";
import { type PlannedFormat, planExports, writeExport } from "./write-exports.js";

type Context = RequestContext<ExportEvent>;

interface PlacedExport {
  readonly plan: PlannedFormat;
  readonly path: string;
}

/** Writes a finished result in other formats; everything is checked before anything is written. */
export async function exportJob(options: ExportResultOptions, context: Context): Promise<undefined> {
  const asked = withRevision(options.result, options.revision);
  if (options.out === null && isHubName(asked)) {
    throw new OptionError({
      where: 'option "out"',
      what: "a result of the hub is read from the cache, where no export belongs",
      next: "give a folder for the exports with --out",
    });
  }
  using result = await openResult(await resolveFolder(asked, context));
  requireComplete(result);
  const out = options.out ?? result.folder;
  const planned = planExports(result, options.format, options);
  const placed = planned.map((plan): PlacedExport => ({ plan, path: join(out, plan.path) }));
  const guards = [...guardsOf(result), ...commonGuards()];
  for (const { path } of placed) await assertOwnPlace({ path, option: "--out" }, guards);
  const copied = filesToCopy(result.folder);
  const missing: PlacedExport[] = [];
  for (const each of placed) {
    if (options.force || !(await isThere(each, result, copied, options, context))) missing.push(each);
  }
  if (missing.length === 0) return undefined;
  await checkDisk(missing, copied);
  context.emit({
    event: "export-plan",
    result: options.result,
    scheme: schemeLabel(result),
    exports: missing.map(({ plan: { format, bytes }, path }) => ({ format, path, bytes })),
  });
  for (const each of missing) {
    const write = exporters[each.plan.format].kind === "file" ? writeFile : writeFolder;
    await write(each, result, copied, options, context);
  }
  if (options.out === null) await updateCard(result.folder);
  return undefined;
}

/** @throws InputError for a folder that is no result */
async function openResult(folder: string): Promise<CompressedTensorsFolder> {
  if ((await graphResultAt(folder)) !== null) {
    throw new InputError({
      where: folder,
      what: "is the result of an ONNX network, which is in ONNX already",
      next: `give its ${graphFile} to whoever runs it`,
    });
  }
  if (isCompressedTensors(await readModelConfig(folder))) return openCompressedTensors(folder);
  throw new InputError({
    where: folder,
    what: "is no result of crossblock",
    why: "its config.json tells of no compressed-tensors weights",
    next: "give the folder that `crossblock quantize` wrote",
  });
}

/** What an export must not take the place of. */
function guardsOf({ folder, record }: CompressedTensorsFolder): readonly Guarded[] {
  const source = record === null ? null : recordedSource(parseResultRecord(record, folder), folder);
  return [
    { path: folder, name: "the result itself", below: false },
    ...(source === null ? [] : [{ path: source, name: "the model that was quantized", below: true }]),
  ];
}

async function isThere(
  { plan: { format }, path }: PlacedExport,
  result: CompressedTensorsFolder,
  copied: CopiedFiles,
  options: ExportResultOptions,
  { emit, poll }: Context,
): Promise<boolean> {
  const progress = pacedProgress(emit, `comparing ${path}`);
  const onTensor = (done: number, total: number): void => {
    poll();
    progress(done, total);
  };
  if (!(await isExported({ format, path, result, options, copied, onTensor }))) return false;
  emit({ event: "already-there", format, path, scheme: schemeLabel(result), created: null });
  return true;
}

async function checkDisk(placed: readonly PlacedExport[], copied: CopiedFiles): Promise<void> {
  for (const { path } of placed) await checkWritable(dirname(path), "the export can't be written");
  const copies = [...copied.values()].reduce((sum, bytes) => sum + bytes, 0);
  await checkDiskSpace(
    placed.map(({ plan: { format, bytes }, path }) => ({
      path,
      bytes: bytes + (exporters[format].kind === "folder" ? copies : 0),
    })),
  );
}

async function writeFolder(
  { plan, path }: PlacedExport,
  result: CompressedTensorsFolder,
  copied: CopiedFiles,
  options: ExportResultOptions,
  context: Context,
): Promise<void> {
  await using folder = await OutputFolder.create(path);
  await writeExport(plan, result, { target: folder.staging, shown: path }, options, context);
  await writeExportCard(plan.format, folder.staging, result.folder);
  const sort = options.force ? async (there: string) => exportContents(there, plan.format, copied) : keepAll;
  const replaced = await folder.commit(sort);
  if (replaced !== null) context.emit(replacedEvent(path, replaced));
}

// A file of ours gives way when the new one is complete. Anything else under its name is moved then.
async function writeFile(
  { plan, path }: PlacedExport,
  result: CompressedTensorsFolder,
  copied: CopiedFiles,
  options: ExportResultOptions,
  context: Context,
): Promise<void> {
  const there = await lstat(path).catch(() => null);
  const own = there?.isFile() === true && (await exporters[plan.format].owns(dirname(path), basename(path), copied));
  if (there === null || own) {
    await writeExport(plan, result, { target: path, shown: path }, options, context);
    await writeExportCard(plan.format, dirname(path), result.folder);
    if (own) context.emit({ event: "replaced", path, removed: 1, movedTo: null, moved: [] });
    return;
  }
  const target = join(dirname(path), `.${randomUUID().slice(0, 8)}-${basename(path)}`);
  try {
    await writeExport(plan, result, { target, shown: path }, options, context);
    const movedTo = await moveAside(path);
    await rename(target, path);
    await writeExportCard(plan.format, dirname(path), result.folder);
    context.emit({ event: "replaced", path, removed: 0, movedTo, moved: [basename(path)] });
  } catch (error) {
    await rm(target, { force: true });
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw fileSystemError(error, "the export can't be put in place", path);
  }
}
