import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A repository: its branches, each with files by path. */
export interface Repository {
  private: boolean;
  readonly branches: Map<string, Map<string, Buffer>>;
  readonly titles: string[];
}

type Reply = (value: object, status?: number, code?: string) => null;

/** A token that may write. */
export const writeToken = "hf_write";

/** Whether the hub keeps a file beside git, as it does with weights. */
const isLarge = (path: string): boolean => /\.(safetensors|gguf|onnx\w*)$/.test(path);

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const gitHash = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

/**
 * A local server that speaks what a download and an upload ask of the Hugging Face Hub: information, listing, files, creation of
 * repositories and branches, the three steps of a commit and the storage of large files.
 */
export class HubServer implements AsyncDisposable {
  readonly repositories = new Map<string, Repository>();
  /** Large files by their hash, whether a commit names them or not. */
  readonly objects = new Map<string, Buffer>();
  /** `METHOD path` of every request. */
  readonly requests: string[] = [];
  /** Answers instead of the hub when it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | null = null;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = (request.url ?? "").split("?")[0] ?? "";
      this.requests.push(`${request.method} ${path}`);
      if (this.intercept?.(request, response)) return;
      const pieces: Buffer[] = [];
      request.on("data", (piece: Buffer) => pieces.push(piece));
      request.on("end", () => this.#answer(request, response, path, Buffer.concat(pieces)));
    });
  }

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Puts a model there, with `files` on its branch main. */
  add(name: string, files: Readonly<Record<string, Buffer>>): Repository {
    const repository = { private: false, branches: new Map([["main", new Map(Object.entries(files))]]), titles: [] };
    this.repositories.set(name, repository);
    return repository;
  }

  /** The commit of a branch: its name follows from what it holds. */
  commitOf(name: string, branch = "main"): string {
    const files = [...(this.repositories.get(name)?.branches.get(branch) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return gitHash(Buffer.from(JSON.stringify(files.map(([path, bytes]) => [path, gitHash(bytes)]))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse, path: string, body: Buffer): null {
    const json: Reply = (value, status = 200, code) => {
      response.writeHead(status, { "content-type": "application/json", ...(code && { "x-error-code": code }) });
      response.end(JSON.stringify(value));
      return null;
    };
    const upload = /^\/lfs\/([0-9a-f]{64})$/.exec(path)?.[1];
    if (upload !== undefined) {
      if (sha256(body) !== upload) return json({ error: "other content" }, 400);
      this.objects.set(upload, body);
      return json({});
    }
    const mayWrite = request.headers.authorization === `Bearer ${writeToken}`;
    if (request.method === "POST" && !mayWrite) return json({ error: "no write access" }, 403);
    if (path === "/api/repos/create") {
      const { name, organization, visibility } = JSON.parse(body.toString()) as Record<string, string>;
      this.add(`${organization}/${name}`, {}).private = visibility === "private";
      return json({ url: `${this.url}/${organization}/${name}`, id: "1" });
    }
    const [, name = "", rest = ""] =
      /^\/api\/models\/([^/]+\/[^/]+)(.*)$/.exec(path) ?? /^\/([^/]+\/[^/.]+)(\.git.*|\/resolve\/.*)$/.exec(path) ?? [];
    const repository = this.repositories.get(name);
    if (repository === undefined || (repository.private && !mayWrite)) {
      return json({ error: "Invalid credentials in Authorization header" }, 401, "RepoNotFound");
    }
    return this.#inRepository(name, repository, rest.split("/").map(decodeURIComponent), body, json, response);
  }

  #inRepository(
    name: string,
    { private: isPrivate, branches, titles }: Repository,
    [, what = "", revision = "main", ...path]: readonly string[],
    body: Buffer,
    json: Reply,
    response: ServerResponse,
  ): null {
    if (what === "info" && revision === "lfs") return this.#batch(body, json);
    if (what === "branch") {
      branches.set(revision, new Map(branches.get("main")));
      return json({});
    }
    const asked = what === "" || revision === "HEAD" ? "main" : revision;
    const branch = branches.has(asked) ? asked : [...branches.keys()].find((key) => this.commitOf(name, key) === asked);
    const files = branches.get(branch ?? "");
    if (files === undefined) return json({ error: "Invalid rev id" }, 404, "RevisionNotFound");
    if (what === "" || what === "revision") {
      const sha = this.commitOf(name, branch);
      return json({ _id: "1", id: name, private: isPrivate, sha, lastModified: "2026-01-01" });
    }
    if (what === "tree") return json([...files].map(([each, bytes]) => entry(each, bytes)));
    if (what === "resolve") {
      const bytes = files.get(path.join("/"));
      if (bytes === undefined) return json({ error: "no such file" }, 404, "EntryNotFound");
      response.end(bytes);
      return null;
    }
    if (what === "preupload") {
      const { files: asks } = JSON.parse(body.toString()) as { files: { path: string }[] };
      return json({
        files: asks.map(({ path: each }) => ({ path: each, uploadMode: isLarge(each) ? "lfs" : "regular" })),
      });
    }
    for (const line of body.toString().split("\n")) {
      const { key, value } = JSON.parse(line) as { key: string; value: Record<string, string> };
      if (key === "header") titles.push(value["summary"] ?? "");
      else if (key === "file") files.set(value["path"] ?? "", Buffer.from(value["content"] ?? "", "base64"));
      else files.set(value["path"] ?? "", this.objects.get(value["oid"] ?? "") ?? Buffer.from("nothing was uploaded"));
    }
    return json({ commitOid: this.commitOf(name, branch), commitUrl: `${this.url}/${name}/commit/1` });
  }

  #batch(body: Buffer, json: Reply): null {
    const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
    return json({
      transfer: "basic",
      objects: objects.map(({ oid, size }) => {
        const upload = { href: `${this.url}/lfs/${oid}` };
        return { oid, size, ...(!this.objects.has(oid) && { actions: { upload } }) };
      }),
    });
  }
}

function entry(path: string, bytes: Buffer): object {
  const plain = { type: "file", path, size: bytes.length, oid: gitHash(bytes) };
  return isLarge(path) ? { ...plain, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : plain;
}
