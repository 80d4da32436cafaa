import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors/write-safetensors.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { openAwq } from "../../../src/format/awq/read.js";
import { writeAwq } from "../../../src/format/awq/write.js";
import { floatsFromBytes, toHalfBytes } from "../../../src/format/bits/float-bytes.js";
import { tinyModel, writeTinyModel } from "../../../src/network/testing/tiny-models.js";
import { roundedOnce, rtnSource } from "../rtn-source.js";

it.each([
  ["gpt_neox", "gpt_neox.layers.1.mlp.act.scales", 24],
  ["starcoder2", "model.layers.0.mlp.act.scales", 24],
  ["bloom", "transformer.h.0.mlp.gelu_impl.scales", 96],
] as const)(
  "%s has the divisors that transformers puts behind its activation, and they are 1",
  async (name, tensor, length) => {
    using folder = temporaryFolder();
    const [model, out] = [join(folder.path, "model"), join(folder.path, "awq")];
    mkdirSync(model);
    await writeTinyModel(model, tinyModel(name));
    using rounded = await rtnSource(model, { schemeOf: () => ({ bits: 4, group: 8, symmetric: true }) });
    const source = roundedOnce(rounded);
    await writeAwq(source, out);
    using stored = await Checkpoint.open(out);
    const info = stored.tensors.get(tensor);
    expect([info?.dtype, info?.shape]).toEqual(["F16", [length]]);
    expect(floatsFromBytes(await stored.read(tensor), "F16", tensor)).toEqual(new Float32Array(length).fill(1));
    using opened = await openAwq(out);
    expect([...opened.plain.keys()].sort()).toEqual([...source.plain.keys()].sort());

    // Others than 1 make another network.
    const tensors = [...stored.tensors.values()].map((each) => ({ ...each, bytes: () => stored.read(each.name) }));
    const halved = tensors.map((each) =>
      each.name === tensor ? { ...each, bytes: () => toHalfBytes(new Float32Array(length).fill(0.5)) } : each,
    );
    await writeSafetensors(out, halved);
    await expect(openAwq(out)).rejects.toThrow(/divided by numbers other than 1.*Next: give the model/s);
  },
);
