import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasOwnReport, recordFile } from "../../format/written-files.js";
import type { CertifiedFormat } from "../report/report-record.js";
import { writeReport } from "../report/write-report.js";
import type { Certificate, ExportCertificate } from "./certificate.js";

/** Writes a result's page again with what was found; a result that has none or one that somebody changed, or whose record can't be read, stays as it is. */
export async function rewriteReport(folder: string, certificate: Certificate): Promise<void> {
  if (!(await hasOwnReport(folder))) return;
  let record: unknown;
  try {
    record = JSON.parse(await readFile(join(folder, recordFile), "utf8"));
  } catch {
    // Verify has said so; the page tells what it told before.
    return;
  }
  await writeReport(folder, record, certificate.exports.map(certifiedFormat));
}

function certifiedFormat({ format, agrees, tensors, runtime }: ExportCertificate): CertifiedFormat {
  const count = (status: string): number => tensors.filter((tensor) => tensor.status === status).length;
  const absent = runtime.status === "absent";
  return {
    format,
    agrees,
    same: count("same"),
    lossy: count("lossy"),
    tensors: tensors.length,
    runtime: {
      status: runtime.status,
      said: absent ? `not run: ${runtime.why}` : `${runtime.runtime} ${runtime.status}`,
      divergence: absent || "outputs" in runtime ? null : runtime.asWritten.divergence,
    },
  };
}
