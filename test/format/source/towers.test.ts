import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkGguf } from "../../../src/format/gguf/check.js";
import { compareKeys } from "../../../src/format/gguf/network/compare/compare-keys.js";
import { GgufFile } from "../../../src/format/gguf/read.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { checkMlx } from "../../../src/format/mlx/check.js";
import { mlxNetwork } from "../../../src/format/mlx/mlx-network.js";
import { openMlxFolder } from "../../../src/format/mlx/read.js";
import { writeMlx } from "../../../src/format/mlx/write.js";
import { planOnnx } from "../../../src/format/onnx/plan.js";
import { sourceSpec } from "../../../src/format/source/source-spec.js";
import { firstLayers } from "../first-layers.js";
import { type Tower, towerSource } from "./tower-source.js";

const scratch = mkdtempSync(join(tmpdir(), "crossblock-towers-"));
const llava: Tower = { type: "llava", textType: "llama", body: "model.language_model.", head: "lm_head" };
const small = async (tower: Tower) =>
  towerSource(await firstLayers("models/sotu-llama-7m", 1, () => ({ bits: 4, group: 32, symmetric: true })), tower);

describe("the text network of a larger model", () => {
  it("is a GGUF file of its own, without what lies beside it", async () => {
    const source = await small(llava);
    const path = join(scratch, "text.gguf");
    const { notes } = await writeGguf(source, path);
    expect(notes.join(" ")).toMatch(/GGUF leaves out what the network does not read: .*(vision_tower|multi_modal)/);
    using file = GgufFile.open(path);
    expect(file.metadata.get("general.architecture")).toMatchObject({ value: "llama" });
    expect([...file.tensors.keys()].filter((name) => /vision|projector/.test(name))).toEqual([]);
    expect(compareKeys(file, sourceSpec(source)).status).toBe("same");
    for await (const check of checkGguf(file, source)) expect([check.name, check.status]).toEqual([check.name, "same"]);
  });

  it("is under one name in MLX, whatever the checkpoint calls it, and is read back", async () => {
    const source = await small(llava);
    const folder = join(scratch, "mlx");
    await writeMlx(source, folder);
    using written = await openMlxFolder(folder);
    const names = [...written.modules.keys(), ...written.plain.keys()];
    expect(names.filter((name) => !name.startsWith("language_model."))).toEqual([]);
    for await (const check of checkMlx(written, source, "exact"))
      expect([check.name, check.status]).toEqual([check.name, "same"]);
    const network = mlxNetwork(written);
    expect(sourceSpec(network).names.block).toBe("language_model.model.layers.{block}");
    const [ours, theirs] = ["model.language_model.layers.0.mlp.up_proj", "language_model.model.layers.0.mlp.up_proj"];
    expect((await network.readQuantized(theirs)).codes).toEqual((await source.readQuantized(ours)).codes);
  });

  it("is refused where no reader takes it, with the reason", async () => {
    const source = await small({ ...llava, type: "idefics3", body: "model.text_model." });
    await expect(writeMlx(source, join(scratch, "none"))).rejects.toThrow(
      /mlx-lm does not load models of the type idefics3.*of models of text and images it loads .*Next: use --format/,
    );
    expect(() => planOnnx(source)).toThrow(
      /transformers.js loads a idefics3 from several graphs.*Next: use --format gguf/,
    );
  });
});
