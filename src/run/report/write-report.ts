import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { sealed } from "../../format/seal.js";
import { reportFile } from "../../format/written-files.js";
import { reportPage } from "./page.js";
import { type CertifiedFormat, reportRecord } from "./report-record.js";

/**
 * Writes `report.html` into the folder of a result.
 *
 * @param record what `crossblock.json` holds
 * @param certified what `verify` found; null before it ran
 */
export async function writeReport(
  folder: string,
  record: unknown,
  certified: readonly CertifiedFormat[] | null,
): Promise<string> {
  const path = join(folder, reportFile);
  await writeFileAtomically(path, sealed(reportPage(reportRecord(record), certified)));
  return path;
}
