import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeHub extends AsyncDisposable {
  readonly url: string;
  /** Content by file name; change it between requests. */
  readonly files: Map<string, Uint8Array>;
  /** `GET path` of every request, with its range where it has one. */
  readonly requests: string[];
  /** Authorization headers seen. */
  readonly tokens: Set<string>;
  /** Answers instead of the hub when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
}

export const fakeCommit = "c0ffee".padEnd(40, "0");

/** A local server with the three routes of the Hugging Face Hub that a download uses, for the model `owner/name`. */
export async function startFakeHub(files: Record<string, string | Uint8Array>): Promise<FakeHub> {
  const encode = (content: string | Uint8Array): Uint8Array => Buffer.from(content);
  const content = new Map(Object.entries(files).map(([name, value]) => [name, encode(value)]));
  const requests: string[] = [];
  const tokens = new Set<string>();
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    requests.push(request.headers.range ? `${path} ${request.headers.range}` : path);
    if (request.headers.authorization) tokens.add(request.headers.authorization);
    if (hub.intercept?.(request, response)) return;
    const json = (value: unknown): void => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(value));
    };
    const [, rest] = /^\/api\/models\/owner\/name\/(.*)$/.exec(path) ?? [];
    if (rest?.startsWith("revision/"))
      json({ _id: "1", id: "owner/name", sha: fakeCommit, lastModified: "2026-01-01" });
    else if (rest === `tree/${fakeCommit}`) json([...content].map(([name, bytes]) => entry(name, bytes)));
    else {
      const name = path.split(`/owner/name/resolve/${fakeCommit}/`)[1];
      const bytes = name === undefined ? undefined : content.get(name);
      if (bytes === undefined) {
        response.statusCode = 404;
        json({ error: "not found" });
        return;
      }
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.statusCode = start > 0 ? 206 : 200;
      response.end(bytes.subarray(start));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files: content,
    requests,
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
  const sha1 = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const plain = { type: "file", path, size: bytes.length, oid: sha1 };
  if (!path.endsWith(".safetensors")) return plain;
  const oid = createHash("sha256").update(bytes).digest("hex");
  return { ...plain, lfs: { oid, size: bytes.length, pointerSize: 130 } };
}
