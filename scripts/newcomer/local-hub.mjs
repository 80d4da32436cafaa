import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const COMMIT = "c0ffee".padEnd(40, "0");

/**
 * Serves one model folder under every name, by the routes of the Hugging Face Hub that a download uses.
 *
 * @param {string} folder @returns {Promise<{ url: string, close: () => void }>}
 */
export async function startLocalHub(folder) {
  const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    const [, name = "", rest = ""] = /^\/api\/models\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
    /** @param {unknown} value */
    const json = (value) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (rest.startsWith("revision/")) json({ _id: "1", id: name, sha: COMMIT, lastModified: "2026-01-01" });
    else if (rest === `tree/${COMMIT}`) json([...files].map(([file, bytes]) => entry(file, bytes)));
    else {
      const bytes = files.get(path.split(`/resolve/${COMMIT}/`)[1] ?? "");
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (bytes === undefined) response.writeHead(404).end();
      else response.writeHead(start > 0 ? 206 : 200).end(bytes.subarray(start));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** @param {string} path @param {Buffer} bytes */
function entry(path, bytes) {
  const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const plain = { type: "file", path, size: bytes.length, oid };
  if (!path.endsWith(".safetensors")) return plain;
  const lfs = { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 130 };
  return { ...plain, lfs };
}
