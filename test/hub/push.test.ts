import { createHash } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { PushEvent, PushInput } from "../../src/index.js";
import { crossblockHere, eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { library } from "../fixtures/in-process/library.js";
import { writeShortLlama } from "../fixtures/short-llama.js";
import { filesOf, type HubRoom, hubRoom } from "./hub-room.js";
import { writeToken } from "./hub-server.js";

let room: HubRoom;
let result = "";

beforeAll(async () => {
  room = await hubRoom();
  const model = room.at("model");
  await writeShortLlama(model);
  writeFileSync(room.at("model", "README.md"), "---\nlicense: mit\n---\nthe source\n");
  writeFileSync(room.at("model", "LICENSE"), "as is\n");
  result = room.at("w4");
  const { code, stderr } = await eventsHere([
    ...[
      "quantize",
      model,
      "--scheme",
      "W4A16g32",
      "--recipe",
      "rtn",
      "--no-score",
      "--out",
      result,
      "--format",
      "gguf,gptq,onnx",
    ],
  ]);
  expect(code, stderr).toBe(0);
});
afterAll(async () => await room[Symbol.asyncDispose]());
beforeEach(() => {
  room.hub.repositories.clear();
  room.hub.objects.clear();
  room.hub.requests.length = 0;
  room.hub.intercept = null;
});

async function push(options: Partial<PushInput> = {}): Promise<readonly PushEvent[]> {
  const events: PushEvent[] = [];
  for await (const event of library.pushResult({ result, repository: "me/w4", ...options })) events.push(event);
  return events;
}

const pushed = (events: readonly PushEvent[]): PushEvent | undefined => events.find(({ event }) => event === "pushed");
const branch = (name = "main"): Map<string, Buffer> =>
  room.hub.repositories.get("me/w4")?.branches.get(name) ?? new Map();

describe("push", () => {
  it("creates the repository and uploads every file of the result, byte for byte, and no other", async () => {
    const copy = room.at("with notes");
    cpSync(result, copy, { recursive: true });
    writeFileSync(room.at("with notes", "notes.txt"), "measured by hand");
    writeFileSync(room.at("with notes", ".env"), "SECRET=1");
    const events = await push({ result: copy, private: true, message: "my first" });
    const { "README.md": card, ".env": _env, "notes.txt": _notes, ...files } = filesOf(copy);
    const { "README.md": onHub, ...there } = Object.fromEntries(branch());
    expect(Object.keys(there).sort()).toEqual(Object.keys(files).sort());
    for (const [path, bytes] of Object.entries(files)) expect(there[path]?.equals(bytes), path).toBe(true);
    // The card is the same but for the name under which others find the model.
    expect(onHub?.toString()).toContain("vllm serve me/w4");
    expect(card?.toString()).toContain("vllm serve ./");
    expect(room.hub.repositories.get("me/w4")).toMatchObject({ private: true, titles: ["my first"] });
    const plan = events.find(({ event }) => event === "push-plan");
    expect(plan).toMatchObject({ repository: "me/w4", branch: "main", leftOut: [".env", "notes.txt"] });
    expect(pushed(events)).toMatchObject({ url: `${room.hub.url}/me/w4`, uploaded: branch().size, skipped: 0 });
    expect(events.at(-1)?.event).toBe("done");
  });

  it("skips what is there with the same hash, and says when that is all", async () => {
    await push();
    const again = await push();
    expect(pushed(again)).toMatchObject({ commit: null, uploaded: 0, skipped: branch().size });
    branch().set("LICENSE", Buffer.from("as  is"));
    branch().set("gptq/model.safetensors", Buffer.alloc(branch().get("gptq/model.safetensors")?.length ?? 0));
    expect(pushed(await push())).toMatchObject({ uploaded: 2 });
    expect(branch().get("LICENSE")?.toString()).toBe("as is\n");
  });

  it("sends no large file again that arrived before an upload was stopped", async () => {
    const controller = new AbortController();
    room.hub.intercept = (request) => {
      if (request.url?.includes("/commit/")) controller.abort(new Error("enough"));
      return request.url?.includes("/commit/") === true;
    };
    await expect(push({ signal: controller.signal })).rejects.toThrow("enough");
    room.hub.intercept = null;
    expect(branch().size).toBe(0);
    expect(room.hub.objects.size).toBeGreaterThan(3);
    room.hub.requests.length = 0;
    await push();
    expect(room.hub.requests.filter((request) => request.startsWith("PUT"))).toEqual([]);
    expect(
      branch()
        .get("model.safetensors")
        ?.equals(readFileSync(`${result}/model.safetensors`)),
    ).toBe(true);
  });

  it.each([
    ["the connection breaks", /the upload failed.*Next: check the network .* run the same command again/],
    ["the hub fails", /the upload failed.*Next: check the network .* run the same command again/],
    ["the user stops", /enough/],
  ])(
    "leaves nothing on the branch where %s amid a file, and sends only what has not arrived when it is run again",
    async (how, message) => {
      const controller = new AbortController();
      const files = filesOf(result);
      const last = createHash("sha256")
        .update(files["model.safetensors"] ?? "")
        .digest("hex");
      room.hub.intercept = (request, response) => {
        if (request.method !== "PUT" || request.url !== `/lfs/${last}`) return false;
        // Once others have arrived, which come beside it.
        const breakOff = (): void => {
          if (room.hub.objects.size < 2) setImmediate(breakOff);
          else if (how === "the connection breaks") request.socket.destroy();
          else if (how === "the user stops") controller.abort(new Error("enough"));
          else response.writeHead(503).end();
        };
        request.once("data", breakOff);
        return true;
      };
      await expect(push({ signal: controller.signal, unchecked: true })).rejects.toThrow(message);
      expect(branch().size).toBe(0);
      const arrived = [...room.hub.objects.keys()].map((hash) => `PUT /lfs/${hash}`);
      expect(arrived.length).toBeGreaterThanOrEqual(2);
      room.hub.intercept = null;
      room.hub.requests.length = 0;
      await push({ unchecked: true });
      const sent = room.hub.requests.filter((request) => request.startsWith("PUT"));
      expect(sent).toContain(`PUT /lfs/${last}`);
      expect(sent.filter((request) => arrived.includes(request))).toEqual([]);
      const { "README.md": _, ...others } = files;
      for (const [path, bytes] of Object.entries(others)) expect(branch().get(path)?.equals(bytes), path).toBe(true);
    },
  );

  it("uploads to a branch, which begins as main", async () => {
    await push();
    await push({ revision: "next/one", message: "again" });
    expect(branch("next/one").size).toBe(branch().size);
    expect(room.hub.repositories.get("me/w4")?.titles).toEqual(["model, W4A16g32, by crossblock"]);
  });

  it("lists files and sizes in a dry run, and asks nobody", async () => {
    room.set({ HF_TOKEN: null });
    const { code, stdout, stderr } = await crossblockHere(["push", result, "me/w4", "--dry-run"]);
    room.set({ HF_TOKEN: writeToken });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^gguf\/model-W4A16g32-Q4_0\.gguf +[\d.]+ MB$/m);
    expect(stdout).toMatch(/^\d+ files, [\d.]+ MB, to me\/w4, branch main$/m);
    expect(room.hub.requests).toEqual([]);
  });

  it("refuses a result whose files are not what was recorded, unless told otherwise", async () => {
    const damaged = room.at("damaged");
    cpSync(result, damaged, { recursive: true });
    const weights = room.at("damaged", "model.safetensors");
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(weights, bytes);
    await expect(push({ result: damaged })).rejects.toThrow(/not what was recorded.*files disagree.*--unchecked/);
    expect(room.hub.requests).toEqual([]);
    expect(pushed(await push({ result: damaged, unchecked: true }))).toBeDefined();
  });

  it("refuses what is no whole result, a name that is none, a public repository that should be private", async () => {
    const without = room.at("without tokenizer");
    cpSync(result, without, { recursive: true, filter: (path) => !path.endsWith("/tokenizer.json") });
    await expect(push({ result: without })).rejects.toThrow(/not whole.*its tokenizer\.json is gone/);
    await expect(push({ result: room.at("model") })).rejects.toThrow(/no finished result.*Next: give the folder/);
    await expect(push({ repository: "w4" })).rejects.toThrow(/is no name on the hub.*Next: give owner\/name/);
    room.hub.add("me/w4", {});
    await expect(push({ private: true })).rejects.toThrow(/exists and is public.*me\/w4\/settings/);
  });

  it("says what a token lacks, and that there is none", async () => {
    room.set({ HF_TOKEN: null });
    await expect(push()).rejects.toThrow(/no token to write with.*Next: run hf auth login/);
    room.set({ HF_TOKEN: "hf_read" });
    await expect(push()).rejects.toThrow(/answers 403.*token of HF_TOKEN may not write.*Next: run hf auth login/);
    room.set({ HF_TOKEN: "secret" });
    await expect(push()).rejects.toThrow(/begins with hf_/);
    room.set({ HF_TOKEN: writeToken, HF_HUB_OFFLINE: "1" });
    await expect(push()).rejects.toThrow(/offline.*HF_HUB_OFFLINE is set/);
    room.set({ HF_HUB_OFFLINE: null });
  });
});
