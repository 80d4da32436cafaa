import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { EnvironmentError, InputError } from "../../errors.js";
import { commitOf, type FakeHub, startFakeDatasetHub } from "../testing/fake-hub.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { datasetNameOf } from "./dataset-name.js";
import { downloadDataset } from "./download-dataset.js";

const lines = (word: string): string => `${JSON.stringify({ text: word.repeat(20) })}\n`;
const files = {
  main: {
    "README.md": "a data set",
    "data/train-00000-of-00003.jsonl": lines("one "),
    "data/train-00001-of-00003.jsonl": lines("two "),
    "data/train-00002-of-00003.jsonl": lines("three "),
    "data/test-00000-of-00001.jsonl": lines("four "),
  },
};

async function download(hub: FakeHub, cacheFolder: string, name = "hub:owner/texts", wantedBytes = 100) {
  const named = datasetNameOf(name);
  if (named === null) throw new Error(`${name} is no name`);
  return downloadDataset(named, { hubUrl: hub.url, cacheFolder, wantedBytes });
}

async function refusal(work: Promise<unknown>): Promise<InputError | EnvironmentError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof InputError || error instanceof EnvironmentError) return error;
  throw error ?? new Error("nothing failed");
}

afterEach(() => vi.unstubAllEnvs());

describe("a data set of the hub", () => {
  it("gives as many files of its split as are wanted, once, in a cache as Python has it", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeDatasetHub(files);
    vi.stubEnv("HF_TOKEN", "hf_secret");
    const found = await download(hub, folder.path);
    const snapshot = join(folder.path, "datasets--owner--texts", "snapshots", commitOf("main"));
    expect(found).toEqual([0, 1].map((i) => join(snapshot, "data", `train-0000${i}-of-00003.jsonl`)));
    expect(readFileSync(found[1] ?? "", "utf8")).toBe(lines("two "));
    expect([...hub.tokens]).toEqual(["Bearer hf_secret"]);
    expect(await download(hub, folder.path)).toEqual(found);
    expect(hub.downloads.length).toBe(2);
    expect((await download(hub, folder.path, "hub:owner/texts:test")).length).toBe(1);
    expect((await download(hub, folder.path, "hub:owner/texts", 1e9)).length).toBe(3);
  });

  it("goes on where a download broke, and refuses content that is not what the hub listed", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeDatasetHub({ main: { "train.jsonl": lines("broken ") } });
    const [path = ""] = await download(hub, folder.path);
    const whole = readFileSync(path);
    using again = temporaryFolder();
    const { createHash } = await import("node:crypto");
    const sha = createHash("sha1").update(`blob ${whole.length}\0`).update(whole).digest("hex");
    const blob = join(again.path, "datasets--owner--texts", "blobs", `${sha}.incomplete`);
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(blob, whole.subarray(0, 30));
    expect(readFileSync((await download(hub, again.path))[0] ?? "")).toEqual(whole);
    expect(hub.downloads.at(-1)).toBe("train.jsonl bytes=30-");
    using third = temporaryFolder();
    hub.intercept = (request, response) => {
      if (!request.url?.includes("/resolve/")) return false;
      response.end(Buffer.alloc(whole.length, "x"));
      return true;
    };
    expect((await refusal(download(hub, third.path))).message).toMatch(/doesn't match the hash/);
  });

  it("is taken as the hub converted it where it has no text files of its own", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeDatasetHub({
      main: { "script.py": "", "pictures.tar": "" },
      "refs/convert/parquet": { "default/train/0000.parquet": "PAR1", "default/test/0000.parquet": "PAR1" },
    });
    const [path = ""] = await download(hub, folder.path);
    expect(path).toContain(join("snapshots", commitOf("refs/convert/parquet"), "default", "train", "0000.parquet"));
    await using none = await startFakeDatasetHub({ main: { "script.py": "" } });
    expect((await refusal(download(none, folder.path))).message).toMatch(/no text files.*Next: choose another/);
  });

  it("names the splits where the one that is asked for is not there, or several could be meant", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeDatasetHub(files);
    const wrong = await refusal(download(hub, folder.path, "hub:owner/texts:dev"));
    expect(wrong.message).toMatch(/no split "dev".*it has test, train.*--calibration hub:owner\/texts:test/);
    await using several = await startFakeDatasetHub({
      main: { "de/train.jsonl": lines("eins "), "en/train.jsonl": lines("one ") },
    });
    const open = await refusal(download(several, folder.path));
    expect(open.message).toMatch(/several splits.*de\/train, en\/train.*hub:owner\/texts:de\/train/);
    expect((await download(several, folder.path, "hub:owner/texts:en/train"))[0]).toMatch(/en.train\.jsonl$/);
  });

  it("says what to do about one that is not there or private", async () => {
    using folder = temporaryFolder();
    await using hub = await startFakeDatasetHub(files);
    const missing = await refusal(download(hub, folder.path, "hub:owner/nothing"));
    expect(missing).toBeInstanceOf(InputError);
    expect(missing.message).toMatch(/datasets\/owner\/nothing.*404.*no data set of this name.*no token was sent/);
    hub.intercept = (_, response) => {
      response.writeHead(401);
      response.end();
      return true;
    };
    const secret = await refusal(download(hub, folder.path));
    expect(secret).toBeInstanceOf(InputError);
    expect(secret.message).toMatch(/401.*HF_TOKEN/);
  });

  it("is what an earlier download left where the hub is not asked or can't be reached", async () => {
    using folder = temporaryFolder();
    const hub = await startFakeDatasetHub(files);
    const found = await download(hub, folder.path);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await download(hub, folder.path)).toEqual(found);
    using empty = temporaryFolder();
    expect((await refusal(download(hub, empty.path))).message).toMatch(/HF_HUB_OFFLINE is set.*Next: unset it/);
    vi.unstubAllEnvs();
    await hub[Symbol.asyncDispose]();
    expect(await download(hub, folder.path)).toEqual(found);
    expect(existsSync(found[0] ?? "")).toBe(true);
  });
});
