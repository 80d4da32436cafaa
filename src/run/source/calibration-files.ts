import type { RequestContext } from "../engine/serve-requests.js";
import type { WorkEvent } from "../events/events.js";
import { textDatasets, textPaths } from "../options/calibration-option.js";
import type { RunOptions } from "../options/options.js";
import { type TextToRead, wantedBytes } from "./read-tokens.js";

/**
 * The paths that calibration text is read from: as they were given, then the files of data sets, which are downloaded.
 *
 * @throws InputError and EnvironmentError for data sets
 */
export async function calibrationFiles(
  options: Pick<RunOptions, "calibration" | "samples" | "context">,
  { emit, signal }: RequestContext<WorkEvent>,
): Promise<readonly TextToRead[]> {
  const paths = textPaths(options);
  const datasets = textDatasets(options);
  const texts: TextToRead[] = paths.length > 0 ? [{ paths }] : [];
  if (datasets.length === 0) return texts;
  const bytes = wantedBytes(options.samples * options.context);
  // The hub's client is large, and most text is in files.
  const { downloadDataset } = await import("../../checkpoint/hub/download-dataset.js");
  for (const dataset of datasets) {
    const found = await downloadDataset(dataset, {
      signal,
      wantedBytes: bytes,
      onProgress: ({ file, bytes: done, totalBytes }) =>
        emit({ event: "progress", stage: `downloading ${file}`, done, total: totalBytes }),
    });
    texts.push({ paths: found, most: bytes, ...(dataset.column !== null && { column: dataset.column }) });
  }
  return texts;
}
