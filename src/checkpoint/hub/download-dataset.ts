import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { datasetInfo, HubApiError } from "@huggingface/hub";
import { CrossblockError, EnvironmentError, InputError } from "../../errors.js";
import { fileSystemError } from "../file-system/file-system-error.js";
import { linkRelatively } from "../file-system/link-relatively.js";
import { writeFileAtomically } from "../file-system/write-file-atomically.js";
import type { DatasetName } from "./dataset-name.js";
import { splitsOf } from "./dataset-splits.js";
import { downloadBlob, type RemoteFile } from "./download-blob.js";
import type { ResolveModelOptions } from "./download-model.js";
import { HubClient } from "./hub-client.js";
import { hubCacheFolder, offlineVariable } from "./hub-environment.js";
import { listRemoteFiles } from "./list-remote-files.js";

export interface DownloadDatasetOptions extends Omit<ResolveModelOptions, "folders"> {
  /** Files are taken in their order until they have so many bytes. */
  readonly wantedBytes: number;
}

/** Where the hub keeps what it made of data sets in other forms: `configuration/split/0000.parquet`. */
const convertedRevision = "refs/convert/parquet";

/**
 * Downloads text files of a split of a data set of the hub, as many as are wanted, into the same cache as models
 * (`datasets--owner--name`): the data set's own Parquet, JSON lines or text files, or those that the hub converted. Hashes
 * are checked, interrupted downloads continue, and where the hub can't be reached, files of an earlier download are used.
 *
 * @returns paths, in the order of their names
 * @throws InputError for a data set or a split that is not there; EnvironmentError for network, space and permission
 */
export async function downloadDataset(
  { name, split }: DatasetName,
  options: DownloadDatasetOptions,
): Promise<readonly string[]> {
  const dataset = new HubDataset(name, options);
  let empty: Listing | null = null;
  for (const revision of ["main", convertedRevision]) {
    const listing = await dataset.list(revision, empty === null);
    const splits = splitsOf([...(listing?.files.keys() ?? [])]);
    if (listing === null || splits.size === 0) {
      empty ??= listing;
      continue;
    }
    return dataset.fetchFirst(listing, splits.get(chosen(dataset.page, splits, split)) ?? []);
  }
  throw new InputError({
    where: dataset.page,
    what: "the data set has no text files: .parquet, .jsonl or .txt",
    why: "it may be made by a script, or hold pictures or sound",
    next: "choose another data set, or save its text with Python (datasets: to_json) and give the .jsonl file",
  });
}

function chosen(where: string, splits: ReadonlyMap<string, readonly string[]>, asked: string | null): string {
  const names = [...splits.keys()];
  const trains = names.filter((name) => /(?:^|\/)train$/.test(name));
  const found = asked ?? (trains.length === 1 ? trains[0] : names.length === 1 ? names[0] : undefined);
  if (found !== undefined && splits.has(found)) return found;
  const data = where.split("/").slice(-2).join("/");
  throw new InputError({
    where,
    what: asked === null ? "the data set has several splits to choose from" : `the data set has no split "${asked}"`,
    why: `it has ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", ..." : ""}`,
    next: `name one of them: --calibration hub:${data}:${names[0]}`,
  });
}

interface Listing {
  readonly commit: string;
  /** null for a file that an earlier download left in the cache. */
  readonly files: ReadonlyMap<string, RemoteFile | null>;
}

class HubDataset {
  readonly #name: string;
  readonly #options: DownloadDatasetOptions;
  readonly #hub: HubClient;
  readonly #storage: string;

  constructor(name: string, options: DownloadDatasetOptions) {
    this.#name = name;
    this.#options = options;
    this.#hub = new HubClient(options);
    this.#storage = join(options.cacheFolder ?? hubCacheFolder(), `datasets--${name.replace("/", "--")}`);
  }

  get page(): string {
    return this.#hub.page(`datasets/${this.#name}`);
  }

  /** @param needed whether it is an error that there is no such revision */
  async list(revision: string, needed: boolean): Promise<Listing | null> {
    try {
      return await this.#ask(revision);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (error instanceof HubApiError && error.statusCode < 500) {
        if (!needed) return null;
        throw this.#refused(error.statusCode);
      }
      const cached = await this.#cached(revision);
      if (cached !== null) return cached;
      throw error instanceof CrossblockError ? error : this.#failed(this.page, error);
    }
  }

  #refused(status: number): InputError {
    const { token } = this.#hub;
    return new InputError({
      where: this.page,
      what: `the hub answers ${status}`,
      why: `it has no data set of this name, or that is private or gated (${token === null ? "no token was sent" : `the token of ${token.origin} was sent`})`,
      next: "check the name; for a private or gated data set accept its terms on its page, and run hf auth login or set HF_TOKEN",
    });
  }

  #failed(where: string, cause: unknown): EnvironmentError {
    return this.#hub.failure("the download failed", where, cause);
  }

  /** Downloads files in their order until there are enough. */
  async fetchFirst(listing: Listing, names: readonly string[]): Promise<readonly string[]> {
    const folder = join(this.#storage, "snapshots", listing.commit);
    const wanted: (readonly [string, RemoteFile | null])[] = [];
    for (let bytes = 0; wanted.length < names.length && bytes < this.#options.wantedBytes; ) {
      const name = names[wanted.length] ?? "";
      const remote = listing.files.get(name) ?? null;
      wanted.push([name, remote]);
      bytes += remote?.size ?? 0;
    }
    const totalBytes = wanted.reduce((sum, [, remote]) => sum + (remote?.size ?? 0), 0);
    let done = 0;
    try {
      for (const [name, remote] of wanted) {
        if (remote === null) continue;
        const blob = join(this.#storage, "blobs", remote.hash.hex);
        const { signal, onProgress } = this.#options;
        const onBytes = (bytes: number): void => onProgress?.({ file: name, bytes: done + bytes, totalBytes });
        const refused = (status: number): InputError => this.#refused(status);
        const failed = (url: string, cause: unknown): EnvironmentError => this.#failed(url, cause);
        const { fetch } = this.#hub;
        await downloadBlob(remote, blob, { fetch, refused, failed, onBytes, ...(signal && { signal }) });
        await linkRelatively(blob, join(folder, name));
        done += remote.size;
      }
    } catch (error) {
      if (error instanceof CrossblockError || this.#options.signal?.aborted) throw error;
      throw fileSystemError(error, "the data set can't be stored", folder);
    }
    return wanted.map(([name]) => join(folder, name));
  }

  async #ask(revision: string): Promise<Listing> {
    const offline = offlineVariable();
    if (offline !== null) {
      throw new EnvironmentError({
        where: this.page,
        what: `${offline} is set, and no text of this data set was downloaded before`,
        next: "unset it, or give files: --calibration PATH",
      });
    }
    const common = { hubUrl: this.#hub.url, fetch: this.#hub.fetch };
    const { sha } = await datasetInfo({ ...common, name: this.#name, revision, additionalFields: ["sha"] });
    if (!/^[0-9a-f]{40}$/.test(sha)) throw new Error("no commit hash in the answer");
    const repo = { type: "dataset", name: this.#name } as const;
    const files = await listRemoteFiles({ ...common, repo, commit: sha, recursive: true, page: this.page });
    const ref = join(this.#storage, "refs", ...revision.split("/"));
    await mkdir(dirname(ref), { recursive: true });
    await writeFileAtomically(ref, sha);
    return { commit: sha, files };
  }

  // Names in a snapshot are of complete files.
  async #cached(revision: string): Promise<Listing | null> {
    try {
      const commit = (await readFile(join(this.#storage, "refs", ...revision.split("/")), "utf8")).trim();
      const folder = join(this.#storage, "snapshots", commit);
      const found = await readdir(folder, { recursive: true });
      const names = found.filter((name) => existsSync(join(folder, name))).sort();
      return { commit, files: new Map(names.map((name) => [name, null])) };
    } catch {
      return null;
    }
  }
}
