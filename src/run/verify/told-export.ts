import type { FoundExport } from "../../format/exporters.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { VerifyEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { ExportCertificate } from "./certificate.js";
import { runtimeSentence } from "./certificate-page.js";

type Context = RequestContext<VerifyEvent>;

/** What is certified of files that can't be read. */
export function unopened(found: FoundExport): ExportCertificate {
  return {
    ...found,
    agrees: false,
    filesAgree: false,
    runtimesAgree: null,
    plannedBytes: null,
    bytes: null,
    untouched: { comparedWith: "nothing", tensors: 0 },
    leftOut: { kept: 0, omitted: 0 },
    disagreements: [],
    notes: [],
    runtime: { status: "absent", why: "the files can't be read" },
    tensors: [],
  };
}

/** Called with the tensors that are checked, and of how many. */
export function onChecked({ path }: FoundExport, { emit, poll }: Context): (done: number, total: number) => void {
  const progress = pacedProgress(emit, `checking ${path}`);
  return (done, total) => {
    poll();
    progress(done, total);
  };
}

/** Tells what a certificate says. */
export function tell(
  { format, path, agrees, disagreements, tensors, runtime }: ExportCertificate,
  { emit }: Context,
): void {
  for (const { tensor, what } of disagreements) emit({ event: "disagreement", format, path, tensor, what });
  emit({
    event: "verified",
    format,
    path,
    agrees,
    tensors: tensors.length,
    lossy: tensors.filter(({ status }) => status === "lossy").length,
    runtime: runtimeSentence(runtime),
  });
}
