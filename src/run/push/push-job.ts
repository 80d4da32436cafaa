import { join } from "node:path";
import { shellWord } from "../../checkpoint/file-system/shell-word.js";
import { offlineVariable } from "../../checkpoint/hub/hub-environment.js";
import { InputError } from "../../errors.js";
import { readCardRecord } from "../card/card-record.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { pacedProgress } from "../events/paced-progress.js";
import type { PushEvent } from "../events/push-events.js";
import type { PushOptions } from "../options/commands/push-options.js";
import { certify } from "../verify/certify.js";
import { filesToPush } from "./files-to-push.js";
import { HubRepository } from "./hub-repository.js";

type Context = RequestContext<PushEvent>;

/** Uploads a result to the hub; everything that can be checked here is checked before the hub is asked. */
export async function pushJob(options: PushOptions, context: Context): Promise<undefined> {
  const { result, repository, dryRun } = options;
  const { emit, poll, signal } = context;
  const branch = options.revision ?? "main";
  const { files, leftOut } = await filesToPush(result, repository);
  const target = dryRun ? null : new HubRepository(repository, branch, { signal });
  const offline = dryRun ? null : offlineVariable();
  if (offline !== null) {
    throw new InputError({
      where: repository,
      what: "nothing can be uploaded offline",
      why: `${offline} is set`,
      next: `unset ${offline}, or look at the files with --dry-run`,
    });
  }
  if (!options.unchecked) await checkFiles(result, context);
  poll();
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const listed = files.map(({ path, bytes: size }) => ({ path, bytes: size }));
  emit({ event: "push-plan", result, repository, branch, files: listed, bytes, leftOut });
  if (target === null) return undefined;
  await target.prepare(options);
  const local = files.map((each) => ({ ...each, file: join(result, each.path) }));
  const missing = await target.missing(local);
  poll();
  const total = missing.reduce((sum, file) => sum + file.bytes, 0);
  const stages = { hashing: pacedProgress(emit, "hashing"), uploading: pacedProgress(emit, "uploading") };
  const commit =
    missing.length === 0
      ? null
      : await target.upload(missing, titleOf(options), signal, ({ stage, bytes: done }) => stages[stage](done, total));
  const [uploaded, skipped] = [missing.length, files.length - missing.length];
  emit({ event: "pushed", repository, url: target.page, commit, uploaded, bytes: total, skipped });
  return undefined;
}

/** @throws InputError where a file does not hold what was recorded */
async function checkFiles(folder: string, context: Context): Promise<void> {
  const { poll, signal } = context;
  const checks = { export: [], format: null, model: null, runtimes: false, project: null, device: "cpu" };
  const { agrees, verdict } = await certify(
    { ...checks, folder, comparesSource: false },
    {
      poll,
      signal,
      // What disagrees is the error's to tell.
      emit: (event) => {
        if (event.event === "progress" || event.event === "warning") context.emit(event);
      },
    },
  );
  if (agrees) return;
  throw new InputError({
    where: folder,
    what: "its files are not what was recorded of them",
    why: verdict.lines[0],
    next: `see all of it with crossblock verify ${shellWord(folder)}; --unchecked uploads them all the same`,
  });
}

function titleOf({ message, result }: PushOptions): string {
  const record = readCardRecord(result);
  return message ?? (record === null ? "Upload by crossblock" : `${record.name}, ${record.scheme}, by crossblock`);
}
