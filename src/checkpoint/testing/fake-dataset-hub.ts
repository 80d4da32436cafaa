import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeDatasetHub extends AsyncDisposable {
  readonly url: string;
  /** `path range` of every request for a file. */
  readonly downloads: string[];
  /** Authorization headers seen. */
  readonly tokens: Set<string>;
  /** Answers instead of the hub when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
}

/** A commit for each revision. */
export function commitOf(revision: string): string {
  return createHash("sha1").update(revision).digest("hex");
}

/** A local server with the routes of the Hugging Face Hub for the data set `owner/texts`: its files by revision and path. */
export async function startFakeDatasetHub(
  revisions: Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>>,
): Promise<FakeDatasetHub> {
  const downloads: string[] = [];
  const tokens = new Set<string>();
  const filesAt = (commit: string): Readonly<Record<string, string | Uint8Array>> =>
    Object.entries(revisions).find(([revision]) => commitOf(revision) === commit)?.[1] ?? {};
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url?.split("?")[0] ?? "");
    if (request.headers.authorization) tokens.add(request.headers.authorization);
    if (hub.intercept?.(request, response)) return;
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    const revision = path.split("/api/datasets/owner/texts/revision/")[1];
    if (revision !== undefined && revisions[revision] !== undefined) {
      json({ _id: "1", id: "owner/texts", sha: commitOf(revision), lastModified: "2026-01-01" });
      return;
    }
    const listed = path.split("/api/datasets/owner/texts/tree/")[1];
    if (listed !== undefined) {
      json(Object.entries(filesAt(listed)).map(([name, content]) => entry(name, Buffer.from(content))));
      return;
    }
    const [commit = "", ...name] = path.split("/datasets/owner/texts/resolve/")[1]?.split("/") ?? [];
    const content = filesAt(commit)[name.join("/")];
    if (content === undefined) {
      json({ error: "Repository not found" }, 404);
      return;
    }
    downloads.push([name.join("/"), request.headers.range].filter((part) => part !== undefined).join(" "));
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.statusCode = start > 0 ? 206 : 200;
    response.end(Buffer.from(content).subarray(start));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub: FakeDatasetHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    downloads,
    tokens,
    intercept: null,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return hub;
}

function entry(path: string, bytes: Uint8Array): object {
  const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  if (!path.endsWith(".parquet")) return { type: "file", path, size: bytes.length, oid };
  const lfs = { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 130 };
  return { type: "file", path, size: bytes.length, oid, lfs };
}
