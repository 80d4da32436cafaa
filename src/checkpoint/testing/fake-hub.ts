import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Content = string | Uint8Array;

/** A local server with the routes of the Hugging Face Hub that a download uses, for one repository. */
export interface FakeHub extends AsyncDisposable {
  readonly url: string;
  /** The path of every request, with its range where it has one. */
  readonly requests: string[];
  /** `file range` of every answer to a request for a file. */
  readonly downloads: string[];
  /** Authorization headers seen. */
  readonly tokens: Set<string>;
  /** Answers instead of the hub when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
}

export interface FakeModelHub extends FakeHub {
  /** Content by file name; change it between requests. */
  readonly files: Map<string, Uint8Array>;
}

/** What the hub has. */
interface Repository {
  /** Where its interface lies, and its files: `models/owner/name`, `owner/name`. */
  readonly api: string;
  readonly files: string;
  /** The commit of a branch; null where there is none of that name. */
  readonly commitOf: (revision: string) => string | null;
  /** Content by path at a commit. */
  readonly filesAt: (commit: string) => ReadonlyMap<string, Content> | null;
}

export const fakeCommit = "c0ffee".padEnd(40, "0");

/** The model `owner/name`: its files are those of every revision, and may change between requests. */
export async function startFakeHub(given: Readonly<Record<string, Content>>): Promise<FakeModelHub> {
  const files = new Map(Object.entries(given).map(([name, content]) => [name, Buffer.from(content) as Uint8Array]));
  const filesAt = (commit: string): ReadonlyMap<string, Content> | null => (commit === fakeCommit ? files : null);
  const hub = await serve({ api: "models/owner/name", files: "owner/name", commitOf: () => fakeCommit, filesAt });
  return Object.assign(hub, { files });
}

/** A commit for each revision of a data set. */
export function commitOf(revision: string): string {
  return createHash("sha1").update(revision).digest("hex");
}

/** The data set `owner/texts`: its files by revision and path. */
export async function startFakeDatasetHub(
  revisions: Readonly<Record<string, Readonly<Record<string, Content>>>>,
): Promise<FakeHub> {
  const byCommit = new Map(
    Object.entries(revisions).map(([name, files]) => [commitOf(name), new Map(Object.entries(files))]),
  );
  return serve({
    api: "datasets/owner/texts",
    files: "datasets/owner/texts",
    commitOf: (revision) => (revisions[revision] === undefined ? null : commitOf(revision)),
    filesAt: (commit) => byCommit.get(commit) ?? null,
  });
}

async function serve(repository: Repository): Promise<FakeHub> {
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    const { range, authorization } = request.headers;
    hub.requests.push(range === undefined ? path : `${path} ${range}`);
    if (authorization !== undefined) hub.tokens.add(authorization);
    if (hub.intercept?.(request, response)) return;
    const found = answer(repository, decodeURIComponent(path));
    if (found === null) {
      response.writeHead(404, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: "Repository not found" }));
    } else if ("json" in found) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(found.json));
    } else {
      hub.downloads.push(range === undefined ? found.file : `${found.file} ${range}`);
      const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
      response.statusCode = start > 0 ? 206 : 200;
      response.end(found.bytes.subarray(start));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    downloads: [],
    tokens: new Set(),
    intercept: null,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return hub;
}

function answer(
  { api, files, commitOf: commit, filesAt }: Repository,
  path: string,
): { readonly json: object } | { readonly file: string; readonly bytes: Buffer } | null {
  const revision = path.split(`/api/${api}/revision/`)[1];
  if (revision !== undefined) {
    const sha = commit(revision);
    return sha === null ? null : { json: { _id: "1", id: files, sha, lastModified: "2026-01-01" } };
  }
  const listed = path.split(`/api/${api}/tree/`)[1];
  if (listed !== undefined) {
    const found = filesAt(listed);
    return found === null ? null : { json: [...found].map(([name, content]) => entry(name, Buffer.from(content))) };
  }
  const [at = "", ...name] = path.split(`/${files}/resolve/`)[1]?.split("/") ?? [];
  const content = filesAt(at)?.get(name.join("/"));
  return content === undefined ? null : { file: name.join("/"), bytes: Buffer.from(content) };
}

function entry(path: string, bytes: Uint8Array): object {
  const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const plain = { type: "file", path, size: bytes.length, oid };
  if (!/\.(safetensors|parquet)$/.test(path)) return plain;
  const hash = createHash("sha256").update(bytes).digest("hex");
  return { ...plain, lfs: { oid: hash, size: bytes.length, pointerSize: 130 } };
}
