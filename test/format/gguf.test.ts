import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../src/format/contract/tensor-check.js";
import { checkGguf } from "../../src/format/gguf/check.js";
import type { GgufPlanOptions } from "../../src/format/gguf/plan.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { writeGguf } from "../../src/format/gguf/write.js";
import { firstLayers } from "./first-layers.js";
import type { RtnScheme } from "./rtn-source.js";

const model = "models/sotu-llama-7m";
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const smallSource = (schemeOf: (name: string) => RtnScheme | null): Promise<ExportSource & Disposable> =>
  firstLayers(model, 2, schemeOf);

const everywhere =
  (bits: number, group: number | null, symmetric = true): ((name: string) => RtnScheme) =>
  () => ({ bits, group, symmetric });

async function verdicts(file: string, source: ExportSource, options?: GgufPlanOptions): Promise<TensorCheck[]> {
  using opened = GgufFile.open(file);
  const checks: TensorCheck[] = [];
  for await (const check of checkGguf(opened, source, options)) checks.push(check);
  return checks;
}

describe("a model folder as GGUF", () => {
  it.each([
    ["W4 g32", "Q4_0", 2, everywhere(4, 32)],
    ["W4 g128", "Q4_0", 2, everywhere(4, 128)],
    ["W4 channel", "Q4_0", 2, everywhere(4, null)],
    ["W4 g32 asymmetric", "Q4_1", 3, everywhere(4, 32, false)],
    ["W4 channel asymmetric", "Q4_K", 14, everywhere(4, null, false)],
    ["W2 g64", "Q2_0", 41, everywhere(2, 64)],
    ["W2 channel", "TQ2_0", 37, everywhere(2, null)],
    ["W2 g256 asymmetric", "Q2_K", 10, everywhere(2, 256, false)],
    ["W3 g256", "Q3_K", 11, everywhere(3, 256)],
    ["W3 g64", "Q4_0", 2, everywhere(3, 64)],
    ["W6 g64 asymmetric", "Q8_0", 7, everywhere(6, 64, false)],
    ["W8 g32", "Q8_0", 7, everywhere(8, 32)],
    ["floats", "BF16", 32, () => null],
  ] as const)(
    "%s is %s, and the decoder finds every code and value of the result",
    async (name, type, id, schemeOf) => {
      using source = await smallSource(schemeOf);
      const path = join(scratch, `${name.replaceAll(" ", "-")}.gguf`);
      const written = await writeGguf(source, path);
      expect(written.bytes).toBe(statSync(path).size);
      const fidelity = type === "Q4_1" ? "minimum" : "exact";
      for (const tensor of written.tensors.filter(({ name }) => /(attn_[qkvo]|ffn_[gud]).*weight/.test(name))) {
        if (!tensor.name.includes("norm")) expect(tensor).toMatchObject({ type, fidelity });
        if (fidelity === "exact") expect(tensor.relativeError).toBe(0);
        expect(tensor.relativeError).toBeLessThan(1e-6);
      }
      using file = GgufFile.open(path);
      expect(file.metadata.get("general.file_type")).toEqual({ type: "u32", value: id });
      expect([...file.tensors.keys()]).toEqual(written.tensors.map((tensor) => tensor.name));
      const checks = await verdicts(path, source);
      expect(checks.length).toBe(20);
      expect(checks.filter(({ status }) => status !== "same")).toEqual([]);
    },
  );

  it("takes a type for the embedding, prefers the types asked for, and mixes types", async () => {
    const schemeOf = (name: string): RtnScheme | null => {
      if (name.includes(".layers.0.")) return null;
      return name.includes("mlp") ? { bits: 2, group: null, symmetric: true } : { bits: 8, group: 64, symmetric: true };
    };
    using source = await smallSource(schemeOf);
    const options = { embedding: "q8_0", prefer: ["Q2_0"] } as const;
    const path = join(scratch, "mixed.gguf");
    const { tensors } = await writeGguf(source, path, options);
    const typeOf = new Map(tensors.map(({ name, type }) => [name, type]));
    expect(typeOf.get("token_embd.weight")).toBe("Q8_0");
    expect(typeOf.get("blk.0.ffn_up.weight")).toBe("BF16");
    expect(typeOf.get("blk.1.ffn_up.weight")).toBe("Q2_0");
    expect(typeOf.get("blk.1.attn_q.weight")).toBe("Q8_0");
    expect(typeOf.get("blk.1.attn_norm.weight")).toBe("F32");
    const checks = await verdicts(path, source, options);
    const [embedding, ...others] = checks;
    expect(embedding).toMatchObject({ name: "token_embd.weight", status: "lossy" });
    expect(embedding?.relativeError).toBeLessThan(1e-4);
    expect(others.every(({ status }) => status === "same")).toBe(true);
    await expect(writeGguf(source, path, { output: "f16" })).rejects.toThrow(/embedding as output.*Next: set the type/);
  });

  it.each([
    ["W3 g64", "Q3_K", 0.02, everywhere(3, 64)],
    ["W2 g64 asymmetric", "Q2_K", 0.05, everywhere(2, 64, false)],
    ["W4 g16", "Q4_K", 0.01, everywhere(4, 16)],
    ["W8 g64 asymmetric", "Q8_0", 1e-4, everywhere(8, 64, false)],
  ] as const)("re-encodes %s as %s on request and reports the loss", async (name, type, limit, schemeOf) => {
    using source = await smallSource(schemeOf);
    const path = join(scratch, `re-${name.replaceAll(" ", "-")}.gguf`);
    const { tensors } = await writeGguf(source, path, { reencode: true });
    const losses = tensors.filter(({ fidelity }) => fidelity === "reencoded");
    expect(losses.length).toBe(14);
    for (const tensor of losses) {
      expect(tensor.type).toBe(type);
      expect(tensor.relativeError).toBeGreaterThan(0);
      expect(tensor.relativeError).toBeLessThan(limit);
    }
    const checks = await verdicts(path, source, { reencode: true });
    expect(checks.filter(({ status }) => status === "lossy").length).toBe(14);
    expect(checks.filter(({ status }) => status !== "lossy" && status !== "same")).toEqual([]);
  });

  it("refuses what has no exact type, before it writes anything", async () => {
    using source = await smallSource(everywhere(8, 64, false));
    const folder = join(scratch, "refused");
    await expect(writeGguf(source, join(folder, "model.gguf"))).rejects.toThrow(/W8A16g64 symmetric, which is Q8_0/);
    expect(readdirSync(scratch)).not.toContain("refused");
  });

  it("leaves nothing behind when it is stopped", async () => {
    using source = await smallSource(everywhere(4, 64));
    const folder = join(scratch, "stopped");
    const controller = new AbortController();
    const slow = {
      ...source,
      async readQuantized(name: string) {
        controller.abort();
        return source.readQuantized(name);
      },
    };
    await expect(writeGguf(slow, join(folder, "model.gguf"), { signal: controller.signal })).rejects.toThrow("aborted");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("names the tensor of a flipped code, of two swapped scales and of a tensor that is not there", async () => {
    using source = await smallSource(everywhere(4, 32));
    const path = join(scratch, "good.gguf");
    await writeGguf(source, path);
    using file = GgufFile.open(path);
    const good = readFileSync(path);
    const dataStart = good.length - Math.max(...[...file.tensors.values()].map((t) => t.offset + t.byteLength));
    const start = (name: string): number => dataStart + (file.tensors.get(name)?.offset ?? Number.NaN);
    const damaged = async (change: (bytes: Buffer) => void): Promise<TensorCheck[]> => {
      const bytes = Buffer.from(good);
      change(bytes);
      const bad = join(scratch, "bad.gguf");
      writeFileSync(bad, bytes);
      return (await verdicts(bad, source)).filter(({ status }) => status !== "same");
    };
    const flipped = await damaged((bytes) => {
      const at = start("blk.1.attn_q.weight") + 18 * 8 * 5 + 2;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    });
    expect(flipped).toMatchObject([{ name: "blk.1.attn_q.weight", source: "model.layers.1.self_attn.q_proj" }]);
    // Row 5 of the file is the third pair of the first head: row 2 + 16 of the checkpoint.
    expect(flipped[0]?.detail).toMatch(/^code .* at row 18, column 0$/);
    const swapped = await damaged((bytes) => {
      const at = start("blk.0.ffn_down.weight");
      const first = bytes.subarray(at, at + 2);
      const [low, high] = first;
      bytes.copy(bytes, at, at + 18, at + 20);
      bytes.set([low ?? 0, high ?? 0], at + 18);
    });
    expect(swapped).toMatchObject([{ name: "blk.0.ffn_down.weight", status: "different" }]);
    expect(swapped[0]?.detail).toMatch(/^scale .* at row 0, column 0$/);
    const renamed = await damaged((bytes) => {
      const at = bytes.indexOf("blk.1.attn_v.weight");
      bytes.write("blk.1.attn_x.weight", at);
    });
    expect(renamed).toMatchObject([
      { name: "blk.1.attn_v.weight", status: "missing" },
      { name: "blk.1.attn_x.weight", status: "unexpected" },
    ]);
  });
});
