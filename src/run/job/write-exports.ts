import type { ExportOptions } from "../../format/contract/export-options.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import type { PlannedExport } from "../../format/contract/exporter.js";
import { exporters, type FormatName } from "../../format/exporters.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ExportedEvent, ExportingEvent, ProgressEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import { formatBytes } from "../result/sizes/result-sizes.js";

/** One format of a run, planned. */
export interface PlannedFormat extends PlannedExport {
  readonly format: FormatName;
}

/**
 * Plans every format without reading a tensor.
 *
 * @throws FormatError for the first that can't hold the result, naming the nearest scheme that it can
 */
export function planExports(
  source: ExportSource,
  formats: readonly FormatName[],
  options: ExportOptions,
): readonly PlannedFormat[] {
  return formats.map((format) => ({ format, ...exporters[format].plan(source, options) }));
}

/** Where an export is written, and where it will be found when all is done. */
export interface ExportPlace {
  readonly target: string;
  readonly shown: string;
}

/** Writes one format and tells of it. */
export async function writeExport(
  { format, notes }: PlannedFormat,
  source: ExportSource,
  { target, shown }: ExportPlace,
  options: ExportOptions,
  { emit, poll, signal }: RequestContext<ExportingEvent | ExportedEvent | ProgressEvent>,
): Promise<void> {
  poll();
  emit({ event: "exporting", format, path: shown });
  const progress = pacedProgress(emit, `writing ${format}`);
  const watched = watchedSource(source, (done, total) => {
    poll();
    progress(done, total);
  });
  const losses = await exporters[format].write(watched, target, { ...options, signal });
  poll();
  emit({ event: "exported", format, path: shown, bytes: await formatBytes(target), notes, losses });
}

/** The same source, which tells of every tensor that is read. */
function watchedSource(source: ExportSource, onRead: (done: number, total: number) => void): ExportSource {
  const total = source.linears.size + source.plain.size;
  const read = new Set<string>();
  const told = (name: string): void => {
    read.add(name);
    onRead(read.size, total);
  };
  const { readPacked } = source;
  return {
    ...source,
    ...(readPacked !== undefined && {
      readPacked(name: string) {
        told(name);
        return readPacked(name);
      },
    }),
    readQuantized(name) {
      told(name);
      return source.readQuantized(name);
    },
    readPlain(name) {
      told(name);
      return source.readPlain(name);
    },
  };
}
