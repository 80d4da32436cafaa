import { exporters } from "../../format/exporters.js";
import type { CopiedFiles } from "../../format/written-files.js";
import { someNames } from "../../network/index.js";
import { packageVersion } from "../../package-version.js";
import { type Device, engineInfo } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { QuantizeEvent, WarningEvent } from "../events/events.js";
import { readManifest } from "../journal/manifest.js";
import { checkSameRun, identityOf, type RunIdentity } from "../journal/run-identity.js";
import { WorkDirectory } from "../journal/work-directory.js";
import { cpuCapability } from "../machine/cpu-capability.js";
import { checkDiskSpace, heldBytes } from "../plan/disk-need.js";
import type { Calibration } from "../source/calibrate.js";
import type { ResolvedRun } from "./resolve-run.js";

type Context = RequestContext<QuantizeEvent>;

/** A run that nothing known stands in the way of. */
export interface CheckedRun {
  readonly calibration: Calibration | null;
  /** What will be copied beside the weights. */
  readonly copied: CopiedFiles;
  readonly identity: RunIdentity;
  /** What was said of the model. */
  readonly warnings: readonly WarningEvent[];
}

/**
 * Everything that could end a run later and can be known now: a dry run makes the same checks, and then ends. Those that take
 * no time come first, then text that is read, then all weights; what the model makes up itself comes last, and not in a dry run.
 *
 * @throws CheckpointError for files that can't be copied or weights that are none; CalibrationError for the text;
 *   EnvironmentError for the disk; InputError for a work folder that holds another run
 */
export async function checkRun(run: ResolvedRun, context: Context): Promise<CheckedRun> {
  const { options, place, fitted, subject } = run;
  const copied = subject.copied();
  await subject.findCalibration();
  await checkSpace(run, copied);
  const warnings = [...subject.warnings()];
  for (const warning of warnings) context.emit(warning);
  context.emit(fitted.plan);
  const read = await subject.calibrate(options, context);
  if (read !== null) context.emit(read.event);
  const weights = subject.checkWeights(context);
  if (weights.notFinite.length > 0) {
    const warning = notFinite(place, weights.notFinite);
    warnings.push(warning);
    context.emit(warning);
  }
  const engine = engineName(run.device);
  const identityWith = (calibration: Calibration | null): RunIdentity =>
    identityOf(
      {
        model: weights.hash,
        tokenizer: calibration?.tokenizer ?? null,
        calibration: calibration?.event.hash ?? null,
        version: packageVersion(),
        engine,
      },
      run.asked,
    );
  // Making text up takes long: what is known of the run is compared before it.
  const { makeUp } = subject;
  if (makeUp !== null) await checkSavedRun(run, identityWith(null), madeKeys);
  const made = makeUp === null ? null : await makeUp(run, { weights: weights.hash, engine }, context);
  if (made !== null) context.emit(made.event);
  const calibration = read ?? made;
  const identity = identityWith(calibration);
  if (calibration !== null || makeUp === null) await checkSavedRun(run, identity, []);
  return { calibration, copied, identity, warnings };
}

async function checkSpace(
  { options, subject, planned, fitted, facts }: ResolvedRun,
  copied: CopiedFiles,
): Promise<void> {
  const work = WorkDirectory.pathOf(options);
  const folders = planned.filter(({ format }) => exporters[format].kind === "folder").length;
  const copies = [...copied.values()].reduce((sum, bytes) => sum + bytes, 0) * folders;
  const streams = { storage: fitted.storage };
  const least = subject.leastWorkBytes({ ...facts, options: { ...facts.options, streams } });
  await checkDiskSpace([
    { path: options.out, bytes: fitted.plan.estimate.resultBytes + copies },
    { path: work, bytes: Math.max(0, least - (options.fresh ? 0 : await heldBytes(work))) },
  ]);
}

/** What an identity lacks before the model has made its text up, which a dry run leaves. */
const madeKeys: readonly string[] = ["calibration tokens", "tokenizer"];

/** What the journal says of a work folder that an earlier run left; `without` names what is not known yet. */
async function checkSavedRun(
  { options }: ResolvedRun,
  identity: RunIdentity,
  without: readonly string[],
): Promise<void> {
  if (options.fresh) return;
  const work = WorkDirectory.pathOf(options);
  const saved = await readManifest(work);
  if (saved === null || saved === "damaged") return;
  const known = Object.entries(saved.identity).filter(([name]) => !without.includes(name));
  checkSameRun(Object.fromEntries(known), identity, work);
}

// What computes: another build or another kind of device rounds differently.
function engineName(device: Device): string {
  const { torchVersion, config, devices } = engineInfo();
  const name = devices.find((entry) => entry.device === device)?.name ?? `CPU ${cpuCapability(config)}`;
  return `libtorch ${torchVersion} on ${name}`;
}

function notFinite(place: string, tensors: readonly string[]): WarningEvent {
  return {
    event: "warning",
    where: place,
    message: `NaN or infinite values in ${someNames(tensors)}, which the network does not read`,
    next: "nothing to do for a mask; a damaged file has to be downloaded again",
  };
}
