import { findTextFiles } from "../calibration/text-files.js";
import { filesToCopy } from "../format/copy-model-files.js";
import { exporters } from "../format/exporters.js";
import type { CopiedFiles } from "../format/written-files.js";
import { packageVersion } from "../package-version.js";
import { recipeOf } from "../recipe/recipes.js";
import { type Device, engineInfo } from "../tensor/index.js";
import { type Calibration, calibrate } from "./calibrate.js";
import { checkWeights } from "./check-weights.js";
import { cpuCapability } from "./cpu-capability.js";
import { checkDiskSpace, heldBytes, leastWorkBytes } from "./disk-need.js";
import type { QuantizeEvent } from "./events.js";
import { readManifest } from "./manifest.js";
import { needsTokens } from "./plan.js";
import type { ResolvedRun } from "./resolve-run.js";
import { checkSameRun, identityOf, type RunIdentity } from "./run-identity.js";
import type { RequestContext } from "./serve-requests.js";
import { WorkDirectory } from "./work-directory.js";

type Context = RequestContext<QuantizeEvent>;

/** A run that nothing known stands in the way of. */
export interface CheckedRun {
  readonly calibration: Calibration | null;
  /** What will be copied beside the weights. */
  readonly copied: CopiedFiles;
  readonly identity: RunIdentity;
}

/**
 * Everything that could end a run later and can be known now: a dry run makes the same checks, and then ends. Those that take
 * no time come first, then the text, then all weights.
 *
 * @throws CheckpointError for files that can't be copied or weights that are none; CalibrationError for the text;
 *   EnvironmentError for the disk; InputError for a work folder that holds another run
 */
export async function checkRun(run: ResolvedRun, context: Context): Promise<CheckedRun> {
  const { options, folder, fitted, model, original, config } = run;
  recipeOf(options.recipe).check?.(run.recipeOptions);
  const copied = filesToCopy(folder);
  if (needsTokens(options)) await findTextFiles(options.calibration);
  await checkSpace(run, copied);
  context.emit(fitted.plan);
  const calibration = needsTokens(options) ? await calibrate(options, folder, model.spec, context) : null;
  if (calibration !== null) context.emit(calibration.event);
  const weightsHash = checkWeights(original, config, context);
  const parts = {
    model: weightsHash,
    tokenizer: calibration?.tokenizer ?? null,
    calibration: calibration?.event.hash ?? null,
    version: packageVersion(),
    engine: engineName(run.device),
  };
  const identity = identityOf(parts, run.asked);
  await checkSavedRun(run, identity);
  return { calibration, copied, identity };
}

async function checkSpace({ options, planned, fitted, known }: ResolvedRun, copied: CopiedFiles): Promise<void> {
  const work = WorkDirectory.pathOf(options);
  const folders = planned.filter(({ format }) => exporters[format].kind === "folder").length;
  const copies = [...copied.values()].reduce((sum, bytes) => sum + bytes, 0) * folders;
  const streams = { storage: fitted.storage };
  const least = leastWorkBytes({ ...known, options: { ...known.options, streams } });
  await checkDiskSpace([
    { path: options.out, bytes: fitted.plan.estimate.resultBytes + copies },
    { path: work, bytes: Math.max(0, least - (options.fresh ? 0 : await heldBytes(work))) },
  ]);
}

/** What the journal says of a work folder that an earlier run left. */
async function checkSavedRun({ options }: ResolvedRun, identity: RunIdentity): Promise<void> {
  if (options.fresh) return;
  const work = WorkDirectory.pathOf(options);
  const saved = await readManifest(work);
  if (saved !== null && saved !== "damaged") checkSameRun(saved.identity, identity, work);
}

// What computes: another build or another kind of device rounds differently.
function engineName(device: Device): string {
  const { torchVersion, config, devices } = engineInfo();
  const name = devices.find((entry) => entry.device === device)?.name ?? `CPU ${cpuCapability(config)}`;
  return `libtorch ${torchVersion} on ${name}`;
}
