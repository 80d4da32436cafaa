import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  type CommitOperation,
  commitIter,
  createBranch,
  createRepo,
  HubApiError,
  listFiles,
  modelInfo,
} from "@huggingface/hub";
import { HubClient, type HubClientOptions } from "../../checkpoint/hub/hub-client.js";
import { CrossblockError, EnvironmentError, InputError } from "../../errors.js";
import type { FileToPush } from "./files-to-push.js";

/** A file here, and what of it is to be uploaded. */
export interface LocalFile extends FileToPush {
  readonly file: string;
}

/** Where an upload is. */
export interface UploadProgress {
  readonly stage: "hashing" | "uploading";
  /** Bytes of all files that are done. */
  readonly bytes: number;
}

const settings = "https://huggingface.co/settings/tokens";

/** A model's repository on the hub that this user may write to. */
export class HubRepository {
  readonly #hub: HubClient;
  readonly #name: string;
  readonly #branch: string;
  readonly #token: string;

  /** @throws InputError without a token, or with one that is none */
  constructor(name: string, branch: string, options: HubClientOptions = {}) {
    this.#hub = new HubClient(options);
    this.#name = name;
    this.#branch = branch;
    const { token } = this.#hub;
    if (token === null) {
      throw new InputError({
        where: this.page,
        what: "there is no token to write with",
        next: `run hf auth login, or set HF_TOKEN to a token with write access (${settings})`,
      });
    }
    if (!token.value.startsWith("hf_")) {
      throw new InputError({
        where: token.origin,
        what: "holds no token of the hub, which begins with hf_",
        next: `run hf auth login, or set HF_TOKEN to a token with write access (${settings})`,
      });
    }
    this.#token = token.value;
  }

  get page(): string {
    return this.#hub.page(this.#name);
  }

  /**
   * Makes sure that repository and branch are there.
   *
   * @throws InputError for a public repository that was wanted private
   */
  async prepare({ private: wantsPrivate }: { readonly private: boolean }): Promise<void> {
    const found = await this.#asked(() => this.#ifThere(modelInfo({ ...this.#common, name: this.#name })));
    if (found === null) {
      const visibility = wantsPrivate ? ({ visibility: "private" } as const) : {};
      await this.#asked(() => createRepo({ ...this.#credentials, repo: this.#repo, ...visibility }));
    } else if (wantsPrivate && !found.private) {
      throw new InputError({
        where: this.page,
        what: "the repository exists and is public",
        why: "--private is for one that is created",
        next: `make it private in ${this.page}/settings, or choose another name`,
      });
    }
    if (this.#branch === "main") return;
    const there = await this.#asked(() =>
      this.#ifThere(modelInfo({ ...this.#common, name: this.#name, revision: this.#branch })),
    );
    if (there !== null) return;
    await this.#asked(() => createBranch({ ...this.#credentials, repo: this.#repo, branch: this.#branch }));
  }

  /** Those of the files that the branch does not hold yet, by size and hash. */
  async missing(files: readonly LocalFile[]): Promise<readonly LocalFile[]> {
    const there = await this.#asked(async () => {
      const found = new Map<string, { readonly size: number; readonly hash: string; readonly large: boolean }>();
      for await (const { path, size, oid, lfs } of listFiles({
        ...{ ...this.#common, repo: this.#repo, revision: encodeURIComponent(this.#branch), recursive: true },
      })) {
        found.set(path, { size: lfs?.size ?? size, hash: lfs?.oid ?? oid ?? "", large: lfs !== undefined });
      }
      return found;
    });
    const missing: LocalFile[] = [];
    for (const file of files) {
      const found = there.get(file.path);
      const same = found?.size === file.bytes && (await hashOf(file, found.large)) === found.hash;
      if (!same) missing.push(file);
    }
    return missing;
  }

  /**
   * Uploads files in one commit. Large ones that the hub holds already, of an upload that was stopped, are not sent again.
   *
   * @returns the commit
   */
  async upload(
    files: readonly LocalFile[],
    title: string,
    signal: AbortSignal,
    onProgress: (progress: UploadProgress) => void,
  ): Promise<string> {
    const operations = files.map(
      ({ path, file, text }): CommitOperation => ({
        operation: "addOrUpdate",
        path,
        content: text === null ? pathToFileURL(file) : new Blob([text]),
      }),
    );
    const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
    const shares = { hashing: new Map<string, number>(), uploading: new Map<string, number>() };
    return await this.#asked(async () => {
      const steps = commitIter({
        ...this.#credentials,
        ...{ repo: this.#repo, branch: this.#branch, title, operations, abortSignal: signal },
      });
      for (;;) {
        const step = await steps.next();
        if (step.done) return step.value?.commit.oid ?? "";
        if (step.value.event !== "fileProgress" || step.value.state === "error") continue;
        const { state: stage, path, progress } = step.value;
        shares[stage].set(path, progress);
        const bytes = [...shares[stage]].reduce((sum, [name, share]) => sum + (sizes.get(name) ?? 0) * share, 0);
        onProgress({ stage, bytes: Math.floor(bytes) });
      }
    });
  }

  get #repo(): { readonly type: "model"; readonly name: string } {
    return { type: "model", name: this.#name };
  }

  get #common(): { readonly hubUrl: string; readonly fetch: typeof fetch } {
    return { hubUrl: this.#hub.url, fetch: this.#hub.fetch };
  }

  get #credentials(): { readonly hubUrl: string; readonly fetch: typeof fetch; readonly accessToken: string } {
    return { ...this.#common, accessToken: this.#token };
  }

  /** The hub answers 401 or 404 for what it has not; others who may not see it get the same. */
  async #ifThere<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof HubApiError && [401, 404].includes(error.statusCode)) return null;
      throw error;
    }
  }

  async #asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CrossblockError || (error instanceof Error && error.name === "AbortError")) throw error;
      if (!(error instanceof HubApiError)) throw this.#failure(error);
      const { statusCode, message: why } = error;
      if (statusCode === 401 || statusCode === 403) {
        throw new InputError({
          where: this.page,
          what: `the hub answers ${statusCode}`,
          why: `the token of ${this.#hub.token?.origin} may not write here (${why})`,
          next: `run hf auth login with a token with write access to ${this.#name.split("/")[0]} (${settings})`,
          cause: error,
        });
      }
      if (statusCode >= 500 || statusCode === 429) throw this.#failure(error);
      const next = "change what the hub names, and run the same command again, which skips what is there";
      throw new InputError({ where: this.page, what: `the hub answers ${statusCode}`, why, next, cause: error });
    }
  }

  #failure(cause: unknown): EnvironmentError {
    const { where, why = String(cause) } = this.#hub.failure("the upload failed", this.page, cause);
    return new EnvironmentError({
      ...{ what: "the upload failed", why, cause },
      ...(where !== undefined && { where }),
      next: "check the network (HF_ENDPOINT names the hub) and run the same command again: what arrived is not sent again",
    });
  }
}

async function hashOf({ file, text, bytes }: LocalFile, large: boolean): Promise<string> {
  const digest = createHash(large ? "sha256" : "sha1");
  if (!large) digest.update(`blob ${bytes}\0`);
  if (text !== null) return digest.update(text).digest("hex");
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) digest.update(chunk as Uint8Array);
  return digest.digest("hex");
}
