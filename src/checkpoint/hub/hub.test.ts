import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EnvironmentError, InputError } from "../../errors.js";
import { Checkpoint } from "../checkpoint.js";
import { ModelFolder } from "../model-folder.js";
import { type FakeModelHub, fakeCommit, startFakeHub } from "../testing/fake-hub.js";
import { rawSafetensors } from "../testing/raw-safetensors.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import type { DownloadProgress } from "./download-model.js";
import { resolveModel } from "./hub.js";

const shard = (name: string, size: number): Uint8Array =>
  rawSafetensors(
    { [name]: { dtype: "U8", shape: [size], data_offsets: [0, size] } },
    Uint8Array.from({ length: size }, (_, i) => i % 251),
  );
const files = {
  "config.json": "{}",
  "tokenizer.json": "{}",
  "README.md": "the card",
  LICENSE: "as is",
  "notes.txt": "not needed",
  "pytorch_model.bin": "not needed",
  "model-00001-of-00002.safetensors": shard("a", 300_000),
  "model-00002-of-00002.safetensors": shard("b", 10),
  "stray.safetensors": shard("c", 10),
  "model.safetensors.index.json": JSON.stringify({
    weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" },
  }),
};
const first = `/owner/name/resolve/${fakeCommit}/model-00001-of-00002.safetensors`;

/** Sends the first `bytes` of the large shard and breaks the connection; with `times` = 1 only for the first request. */
function breakAfter(hub: FakeModelHub, bytes: number, times: number): void {
  let left = times;
  hub.intercept = (request, response) => {
    if (request.url !== first || left-- <= 0) return false;
    const content = hub.files.get("model-00001-of-00002.safetensors") ?? new Uint8Array();
    const start = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
    response.writeHead(start > 0 ? 206 : 200, { "content-length": content.length - start });
    response.write(content.subarray(start, start + bytes), () => response.destroy());
    return true;
  };
}

async function failure(work: Promise<unknown>): Promise<EnvironmentError | InputError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof EnvironmentError || error instanceof InputError) return error;
  throw error ?? new Error("nothing failed");
}

// Nobody's token and cache.
beforeEach(() => {
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"]) vi.stubEnv(name, "");
  vi.stubEnv("HF_TOKEN_PATH", "/nowhere/token");
});
afterEach(() => vi.unstubAllEnvs());

describe("resolveModel", () => {
  it("takes a local folder as it is", async () => {
    using folder = temporaryFolder();
    expect(await resolveModel(folder.path)).toBe(folder.path);
    expect((await failure(resolveModel(join(folder.path, "no")))).message).toMatch(/no such model folder.*Next: check/);
    expect((await failure(resolveModel("../a/b/c"))).message).toMatch(/no such model folder/);
  });

  it("downloads what is needed into a cache as Python has it, once, with progress", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const seen: DownloadProgress[] = [];
    const options = { cacheFolder: folder.path, hubUrl: hub.url, onProgress: (p: DownloadProgress) => seen.push(p) };
    const model = await resolveModel("owner/name", { ...options, token: "hf_secret" });
    expect(model).toBe(join(folder.path, "models--owner--name", "snapshots", fakeCommit));
    const names = Object.keys(files).filter((name) => !/notes|\.bin|stray/.test(name));
    expect(readdirSync(model).sort()).toEqual(names.sort());
    expect(readFileSync(join(folder.path, "models--owner--name", "refs", "main"), "utf8")).toBe(fakeCommit);
    using checkpoint = await Checkpoint.open(model);
    expect([...checkpoint.readSync("b")]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...hub.tokens]).toEqual(["Bearer hf_secret"]);
    const last = seen.at(-1);
    expect(last?.bytes).toBe(last?.totalBytes);
    expect(seen.some(({ file }) => file === "model-00001-of-00002.safetensors")).toBe(true);

    hub.requests.length = 0;
    await resolveModel("owner/name", options);
    expect(hub.requests.filter((path) => path.includes("/resolve/"))).toEqual([]);
  });

  it("shows what lies around the weights before it downloads them, and leaves them where that is refused", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    let seen: string[] = [];
    const beforeWeights = async (path: string): Promise<void> => {
      seen = readdirSync(path);
      throw new InputError({ where: path, what: "of no use", next: "take another" });
    };
    expect((await failure(resolveModel("owner/name", { ...options, beforeWeights }))).message).toMatch(/of no use/);
    expect(seen).toEqual(expect.arrayContaining(["config.json", "tokenizer.json"]));
    expect(hub.requests.filter((path) => path.endsWith(".safetensors"))).toEqual([]);
  });

  it("continues a download whose connection broke, and one of an earlier process", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    breakAfter(hub, 100_000, 1);
    const model = await resolveModel("owner/name", options);
    expect(hub.requests).toContain(`${first} bytes=100000-`);
    using checkpoint = await Checkpoint.open(model);
    expect(checkpoint.readSync("a")[299_999]).toBe(299_999 % 251);

    using other = temporaryFolder();
    const controller = new AbortController();
    const stop = (p: DownloadProgress): void => {
      if (p.file.startsWith("model-00001") && p.bytes > 0) controller.abort();
    };
    breakAfter(hub, 50_000, 1);
    const stopped = { ...options, cacheFolder: other.path, signal: controller.signal, onProgress: stop };
    await expect(resolveModel("owner/name", stopped)).rejects.toThrow(/abort/i);
    const snapshot = join(other.path, "models--owner--name", "snapshots", fakeCommit);
    expect(readdirSync(snapshot).some((name) => name.startsWith("model-"))).toBe(false);
    hub.intercept = null;
    hub.requests.length = 0;
    await resolveModel("owner/name", { ...options, cacheFolder: other.path });
    expect(hub.requests.some((request) => request.startsWith(`${first} bytes=`))).toBe(true);
  });

  it("refuses content that doesn't match its hash, and fetches it anew the next time", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    hub.intercept = (request, response) => {
      if (request.url !== first) return false;
      response.end(new Uint8Array(hub.files.get("model-00001-of-00002.safetensors")?.length ?? 0));
      return true;
    };
    const error = await failure(resolveModel("owner/name", options));
    expect(error).toBeInstanceOf(EnvironmentError);
    expect(error.message).toMatch(/doesn't match the hash.*Next: run the same command again/);
    hub.intercept = null;
    await resolveModel("owner/name", options);
  });

  it("refuses a listing with hashes or commits that are no hashes: they would become file names", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    for (const [route, answer] of [
      ["/tree/", [{ type: "file", path: "config.json", size: 1, oid: "../../../evil" }]],
      ["/tree/", [{ type: "file", path: "config.json", size: -1, oid: "0".repeat(40) }]],
      ["/revision/", { _id: "1", id: "owner/name", sha: "../../evil", lastModified: "2026-01-01" }],
    ] as const) {
      hub.intercept = (request, response) => {
        if (!request.url?.includes(route)) return false;
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(answer));
        return true;
      };
      const error = await failure(resolveModel("owner/name", { cacheFolder: folder.path, hubUrl: hub.url }));
      expect(error.message).toMatch(/in the answer/);
      expect(existsSync(join(folder.path, "models--owner--name", "blobs"))).toBe(false);
    }
  });

  it("says what to do about names that aren't there, models without safetensors and an index that is wrong", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub({ "config.json": "{}" });
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    expect((await failure(resolveModel("owner/other", options))).message).toMatch(/answers 404.*HF_TOKEN/);
    expect((await failure(resolveModel("owner/name", options))).message).toMatch(
      /neither model.safetensors.*save_pretrained/,
    );
    const index = JSON.stringify({ weight_map: { a: "gone.safetensors" } });
    hub.files.set("model.safetensors.index.json", Buffer.from(index));
    const error = await failure(resolveModel("owner/name", options));
    expect(error.message).toMatch(/the index names gone.safetensors.*Next: tell the model's author/);
    expect(error.exitCode).toBe(2);
  });

  it("uses a complete snapshot when the hub is out of reach, and only a complete one", async () => {
    using folder = temporaryFolder();
    let url = "";
    {
      await using hub = await startFakeHub(files);
      url = hub.url;
      await resolveModel("owner/name", { cacheFolder: folder.path, hubUrl: url });
    }
    const model = await resolveModel("owner/name", { cacheFolder: folder.path, hubUrl: url });
    expect(readdirSync(model)).toContain("config.json");
    using empty = temporaryFolder();
    const partial = join(empty.path, "models--owner--name");
    mkdirSync(join(partial, "snapshots", fakeCommit), { recursive: true });
    mkdirSync(join(partial, "refs"));
    writeFileSync(join(partial, "refs", "main"), fakeCommit);
    writeFileSync(join(partial, "snapshots", fakeCommit, "config.json"), "{}");
    const error = await failure(resolveModel("owner/name", { cacheFolder: empty.path, hubUrl: url }));
    expect(error).toBeInstanceOf(EnvironmentError);
    expect(error.message).toMatch(/the download failed.*ECONNREFUSED.*Next: check the network/);
  });

  it("takes a revision, and keeps its name in the cache as Python does", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    const model = await resolveModel("owner/name@refs/pr/1", options);
    expect(hub.requests[0]).toBe("/api/models/owner/name/revision/refs%2Fpr%2F1");
    const storage = join(folder.path, "models--owner--name");
    expect(readFileSync(join(storage, "refs", "refs", "pr", "1"), "utf8")).toBe(fakeCommit);
    expect(await resolveModel(`owner/name@${fakeCommit}`, options)).toBe(model);
    expect(readdirSync(join(storage, "refs"))).toEqual(["refs"]);
  });

  it("tells a gated model from one that is private or not there, and a missing revision from both", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const refuse = (route: string, status: number, code: string): void => {
      hub.intercept = (request, response) => {
        if (!request.url?.includes(route)) return false;
        response.writeHead(status, { "x-error-code": code, "content-type": "application/json" }).end("{}");
        return true;
      };
    };
    const message = async (options: object = {}): Promise<string> =>
      (await failure(resolveModel("owner/name@v1", { cacheFolder: folder.path, hubUrl: hub.url, ...options }))).message;
    refuse("/resolve/", 401, "GatedRepo");
    const page = `${hub.url}/owner/name`;
    expect(await message()).toContain(`Next: accept the terms on ${page}; then run hf auth login, or set HF_TOKEN`);
    expect(await message({ token: "hf_x" })).toMatch(
      /the given token was sent\).*accept the terms.*the account of that token/,
    );
    refuse("/revision/", 401, "RepoNotFound");
    expect(await message()).toMatch(
      /there is no folder owner\/name here.*or that is private.*\.\/owner\/name is always a path/,
    );
    refuse("/revision/", 404, "RevisionNotFound");
    expect(await message()).toMatch(/it has no revision v1.*commits\/main/);
  });

  it("downloads the folders of exports that are wanted, and reads them through the cache's links", async () => {
    using folder = temporaryFolder();
    const inside = { "gptq/config.json": '{"model_type":"llama"}', "other/config.json": "{}", "crossblock.json": "{}" };
    await using hub = await startFakeHub({ ...files, ...inside });
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    expect(readdirSync(await resolveModel("owner/name", options))).not.toContain("gptq");
    const model = await resolveModel("owner/name", { ...options, folders: ["gptq"] });
    expect(ModelFolder.open(join(model, "gptq")).readText("config.json", 100)).toBe('{"model_type":"llama"}');
    expect(readdirSync(model)).toContain("crossblock.json");
    expect(readdirSync(model)).not.toContain("other");
  });

  it("asks nobody where the environment says so", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeHub(files);
    const options = { cacheFolder: folder.path, hubUrl: hub.url };
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const error = await failure(resolveModel("owner/name", options));
    expect(error.message).toMatch(
      /no complete copy.*HF_HUB_OFFLINE is set.*Next: check the path; to download owner\/name, unset/,
    );
    vi.stubEnv("HF_HUB_OFFLINE", "");
    const model = await resolveModel("owner/name", options);
    hub.requests.length = 0;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await resolveModel("owner/name", options)).toBe(model);
    expect(hub.requests).toEqual([]);
    vi.unstubAllEnvs();
  });

  it("keeps the token to the hub itself", async () => {
    using folder = temporaryFolder();
    await using elsewhere = await startFakeHub(files);
    await using hub = await startFakeHub(files);
    hub.intercept = (request, response) => {
      if (!request.url?.includes("/resolve/")) return false;
      response.writeHead(302, { location: `${elsewhere.url}${request.url}` }).end();
      return true;
    };
    await resolveModel("owner/name", { cacheFolder: folder.path, hubUrl: hub.url, token: "hf_secret" });
    expect(elsewhere.requests.length).toBeGreaterThan(3);
    expect([...elsewhere.tokens]).toEqual([]);
    expect([...hub.tokens]).toEqual(["Bearer hf_secret"]);
  });
});
