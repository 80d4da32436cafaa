import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { quantize } from "../../../src/api/quantize.js";
import { startFakeHub } from "../../../src/checkpoint/testing/fake-hub.js";
import { rawSafetensors } from "../../../src/checkpoint/testing/raw-safetensors.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";

vi.mock("../../../src/run/engine/engine-client.js", () => import("../../fixtures/engine-in-process.js"));
afterEach(() => vi.unstubAllEnvs());

it("refuses a family of the hub that is not known before its weights are downloaded", async () => {
  using folder = temporaryFolder();
  const weights = rawSafetensors({ a: { dtype: "U8", shape: [4], data_offsets: [0, 4] } }, new Uint8Array(4));
  await using hub = await startFakeHub({
    "config.json": '{"model_type":"foo9"}',
    "tokenizer.json": "{}",
    "model.safetensors": weights,
  });
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"]) vi.stubEnv(name, "");
  vi.stubEnv("HF_TOKEN_PATH", "/nowhere/token");
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HUB_CACHE", join(folder.path, "hub"));
  const run = async (): Promise<void> => {
    const given = { model: "owner/name", scheme: "W4A16g64", recipe: "rtn", device: "cpu" } as const;
    for await (const _event of quantize({ ...given, out: join(folder.path, "out") }));
  };
  await expect(run()).rejects.toThrow(/"foo9" is not supported.*one of these families: llama/);
  expect(hub.requests.filter((path) => path.includes("/resolve/"))).not.toEqual([]);
  expect(hub.requests.filter((path) => path.endsWith("model.safetensors"))).toEqual([]);
});
