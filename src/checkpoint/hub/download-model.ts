import { existsSync } from "node:fs";
import { mkdir, readFile, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HubApiError, modelInfo } from "@huggingface/hub";
import { CheckpointError, CrossblockError, EnvironmentError, InputError } from "../../errors.js";
import { fileSystemError } from "../file-system/file-system-error.js";
import { linkRelatively } from "../file-system/link-relatively.js";
import { writeFileAtomically } from "../file-system/write-file-atomically.js";
import { ModelFolder } from "../model-folder.js";
import { maxIndexLength, parseWeightIndex, singleWeightFile, weightIndexFile } from "../weight-index.js";
import { downloadBlob, type RemoteFile } from "./download-blob.js";
import { HubClient, type HubClientOptions } from "./hub-client.js";
import { offlineVariable } from "./hub-environment.js";
import type { HubName } from "./hub-name.js";
import { listRemoteFiles } from "./list-remote-files.js";

export interface DownloadProgress {
  readonly file: string;
  /** Bytes of this download that are there, of `totalBytes` of all its files. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface ResolveModelOptions extends HubClientOptions {
  /** Default `HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`: shared with the Python libraries. */
  readonly cacheFolder?: string;
  /** Folders of the repository that are wanted too, with all that is in them: the exports of a result. Default none. */
  readonly folders?: readonly string[];
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Looks at a folder that has all but its weights, and may refuse them by throwing: they are gigabytes. */
  readonly beforeWeights?: (folder: string) => Promise<void>;
}

/** What is downloaded besides the weights; names as transformers writes them. */
const sideFiles: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  "README.md",
  // What a result of crossblock has beside its weights.
  "crossblock.json",
  "certificate.json",
  "README.source.md",
]);
/** Terms that go along with every copy of a model. */
const terms = /^(?:LICEN[CS]E|NOTICE|COPYING|USE_POLICY)(?:[.-]\w+)*$/i;

/**
 * Downloads a model of the hub into its folder of the cache, `storage`, and returns the snapshot's folder.
 * @throws as `resolveModel` does
 */
export async function downloadModel(named: HubName, storage: string, options: ResolveModelOptions): Promise<string> {
  return await new HubModel(named, storage, options).download();
}

class HubModel {
  readonly #name: string;
  readonly #options: ResolveModelOptions;
  readonly #revision: string;
  readonly #hub: HubClient;
  /** `models--owner--name` in the cache. */
  readonly #storage: string;

  constructor({ name, revision }: HubName, storage: string, options: ResolveModelOptions) {
    this.#name = name;
    this.#options = options;
    this.#revision = revision ?? "main";
    this.#hub = new HubClient(options);
    this.#storage = storage;
  }

  async download(): Promise<string> {
    const offline = offlineVariable();
    if (offline !== null) return (await this.#cachedSnapshot()) ?? this.#notCached(offline);
    let listing: Listing;
    try {
      listing = await this.#list();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof EnvironmentError)) throw error;
      const cached = await this.#cachedSnapshot();
      if (cached === null) throw error;
      return cached;
    }
    const folder = join(this.#storage, "snapshots", listing.commit);
    try {
      await mkdir(folder, { recursive: true });
      await this.#fetchAll(folder, listing);
      if (this.#revision !== listing.commit) {
        const ref = join(this.#storage, "refs", this.#revision);
        await mkdir(dirname(ref), { recursive: true });
        await writeFileAtomically(ref, listing.commit);
      }
    } catch (error) {
      if (error instanceof CrossblockError || this.#options.signal?.aborted) throw error;
      throw fileSystemError(error, "the model can't be stored", folder);
    }
    return folder;
  }

  #notCached(offline: string): never {
    throw new InputError({
      where: `${this.#name}@${this.#revision}`,
      what: "there is no such folder, and no complete copy of a model of that name in the cache",
      why: `${offline} is set, so that the hub is not asked`,
      next: `check the path; to download ${this.#name}, unset ${offline} (the cache is ${this.#storage})`,
    });
  }

  /** Commit and files of the revision. */
  async #list(): Promise<Listing> {
    const { url: hubUrl, fetch } = this.#hub;
    const common = { hubUrl, fetch };
    try {
      const revision = this.#revision;
      const { sha } = await modelInfo({ ...common, name: this.#name, revision, additionalFields: ["sha"] });
      if (!/^[0-9a-f]{40}$/.test(sha)) throw new Error("no commit hash in the answer");
      const recursive = (this.#options.folders ?? []).length > 0;
      const page = this.#hub.page(this.#name);
      const files = await listRemoteFiles({ ...common, repo: this.#name, commit: sha, recursive, page });
      return { commit: sha, files };
    } catch (error) {
      const local = `there is no folder ${this.#name} here, so the hub was asked`;
      if (error instanceof HubApiError && error.statusCode < 500) {
        throw this.#hub.refusal(this.#name, this.#revision, error.statusCode, local);
      }
      throw this.#hub.failure("the download failed", this.#hub.page(this.#name), error, local);
    }
  }

  async #fetchAll(folder: string, { files }: Listing): Promise<void> {
    const { folders = [] } = this.#options;
    const side = [...files.keys()].filter((name) => {
      const [folder = "", ...below] = name.split("/");
      return below.length === 0 ? sideFiles.has(name) || terms.test(name) : folders.includes(folder);
    });
    const single = files.has(singleWeightFile);
    if (!single && !files.has(weightIndexFile)) {
      throw new CheckpointError({
        what: `the model has neither ${singleWeightFile} nor ${weightIndexFile}`,
        where: this.#hub.page(this.#name),
        next: "choose a model with safetensors weights, or convert it with Python transformers (save_pretrained)",
      });
    }
    const first = single ? side : [...side, weightIndexFile];
    await this.#fetchFiles(folder, first, files);
    await this.#options.beforeWeights?.(folder);
    const weights = single ? [singleWeightFile] : shardsOf(folder);
    await this.#fetchFiles(folder, weights, files);
  }

  async #fetchFiles(folder: string, names: readonly string[], files: ReadonlyMap<string, RemoteFile>): Promise<void> {
    const remotes = names.map((name) => {
      const remote = files.get(name);
      if (remote !== undefined) return { name, remote, blob: join(this.#storage, "blobs", remote.hash.hex) };
      throw new CheckpointError({
        what: `the index names ${name}, which the model doesn't have`,
        where: this.#hub.page(this.#name),
        next: "tell the model's author, or choose another revision",
      });
    });
    const totalBytes = remotes.reduce((sum, { remote }) => sum + remote.size, 0);
    const missing = remotes.filter(({ blob }) => !existsSync(blob));
    await this.#checkSpace(
      folder,
      missing.reduce((sum, { remote }) => sum + remote.size, 0),
    );
    let done = 0;
    for (const { name, remote, blob } of remotes) {
      const report = throttled(
        (bytes) => this.#options.onProgress?.({ file: name, bytes: done + bytes, totalBytes }),
        remote.size,
      );
      const { signal } = this.#options;
      const refused = (status: number): InputError => this.#hub.refusal(this.#name, this.#revision, status);
      const failed = (url: string, cause: unknown): EnvironmentError =>
        this.#hub.failure("the download failed", url, cause);
      const { fetch } = this.#hub;
      await downloadBlob(remote, blob, { fetch, refused, failed, onBytes: report, ...(signal && { signal }) });
      await linkRelatively(blob, join(folder, name));
      done += remote.size;
    }
  }

  async #checkSpace(folder: string, needed: number): Promise<void> {
    const { bavail, bsize } = await statfs(folder);
    if (needed <= bavail * bsize) return;
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
    throw new EnvironmentError({
      what: `the download takes ${gigabytes(needed)} and ${gigabytes(bavail * bsize)} are free`,
      where: this.#storage,
      next: "free space, or point HF_HUB_CACHE at a larger disk",
    });
  }

  /** The snapshot that the revision named when the hub was last reached, if it is complete. */
  async #cachedSnapshot(): Promise<string | null> {
    try {
      const isCommit = /^[0-9a-f]{40}$/.test(this.#revision);
      const commit = isCommit
        ? this.#revision
        : (await readFile(join(this.#storage, "refs", this.#revision), "utf8")).trim();
      const folder = join(this.#storage, "snapshots", commit);
      const files = ModelFolder.open(folder);
      const weights = files.has(singleWeightFile) ? [singleWeightFile] : shardsOf(folder);
      const complete = weights.length > 0 && [...weights, "config.json"].every((name) => files.has(name));
      return complete ? folder : null;
    } catch {
      return null;
    }
  }
}

interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, RemoteFile>;
}

function shardsOf(folder: string): string[] {
  const text = ModelFolder.open(folder).readText(weightIndexFile, maxIndexLength);
  return text === null ? [] : [...new Set(parseWeightIndex(text, join(folder, weightIndexFile)).values())].sort();
}

/** At most ten calls a second, and one at the end. */
function throttled(report: (bytes: number) => void, size: number): (bytes: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const now = performance.now();
    if (bytes < size && now - last < 100) return;
    last = now;
    report(bytes);
  };
}
