import { mkdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { writeFileAtomically } from "../../checkpoint/file-system/write-file-atomically.js";
import { hubNameOf, withRevision } from "../../checkpoint/hub/hub-name.js";
import { formatNames, primaryFormat } from "../../format/exporters.js";
import { certificateFile, certificatePageFile } from "../../format/written-files.js";
import { updateCard } from "../card/update-card.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { VerifyEvent } from "../events/events.js";
import type { VerifyOptions } from "../options/commands/verify-options.js";
import { checkWritable } from "../result/check-writable.js";
import { toldPath, withoutPaths } from "../result/told/told-paths.js";
import { resolveFolder } from "../source/resolve-folder.js";
import type { Certificate } from "./certificate.js";
import { certificatePage } from "./certificate-page.js";
import { certify } from "./certify.js";
import { rewriteReport } from "./rewrite-report.js";

type Context = RequestContext<VerifyEvent>;

/** Checks a result and its exports, and writes the certificate beside the result, or where it is wanted. */
export async function verifyJob(options: VerifyOptions, context: Context): Promise<undefined> {
  const asked = withRevision(options.result, options.revision);
  const named = hubNameOf(asked);
  // The cache of the hub is not ours to write to.
  const target = options.out ?? (named === null ? options.result : null);
  if (options.out !== null) await checkWritable(options.out, "the certificate can't be written");
  const folder = await resolveFolder(asked, context, { folders: named === null ? [] : exportFolders });
  const model = options.model === null ? null : await resolveFolder(options.model, context);
  const checked = await certify({ ...options, folder, model }, context);
  const name = named === null ? basename(resolve(folder)) : `${named.name}@${basename(folder)}`;
  const certificate = toldCertificate(checked, { folder, name, model });
  const files = target === null ? [] : await writeCertificate(target, certificate);
  // The card says what the certificate does, where it still is the one that was written for this result.
  if (target !== null && resolve(target) === resolve(folder)) {
    await rewriteReport(folder, certificate);
    await updateCard(folder);
  }
  context.emit({ event: "certified", agrees: certificate.agrees, lines: certificate.verdict.lines, files });
  return undefined;
}

const exportFolders = formatNames.filter((format) => format !== primaryFormat);

/** The certificate as others will read it: no path of this machine stands in it. */
export function toldCertificate(
  certificate: Certificate,
  { folder, name, model }: { readonly folder: string; readonly name: string; readonly model: string | null },
): Certificate {
  const places = [
    { path: folder, told: "." },
    ...certificate.exports.map(({ path }) => ({ path, told: toldPath(path, folder) })),
    ...certificate.exports.map(({ path }) => ({ path: dirname(path), told: toldPath(dirname(path), folder) })),
    ...(model === null ? [] : [{ path: model, told: toldPath(model, folder) }]),
  ];
  const exports = certificate.exports.map((each) => ({ ...each, path: toldPath(each.path, folder) }));
  return withoutPaths({ ...certificate, result: name, exports }, places);
}

async function writeCertificate(folder: string, certificate: Certificate): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const files = [join(folder, certificateFile), join(folder, certificatePageFile)] as const;
  await writeFileAtomically(files[0], `${JSON.stringify(certificate, null, 2)}\n`);
  await writeFileAtomically(files[1], certificatePage(certificate));
  return files;
}
