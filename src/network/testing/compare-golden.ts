import { expect } from "vitest";
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { type DType, noGrad, scope, Tensor } from "../../tensor/index.js";
import {
  blockOf,
  Decoder,
  type DecoderSpec,
  embed,
  forwardBlock,
  normalise,
  RotaryTables,
  type TensorSource,
} from "../index.js";

/** Where the second piece of a sequence begins that goes through the caches. */
const SPLIT = 14;

const dtypes: Readonly<Record<string, DType>> = { F32: "float32", I32: "int32", I64: "int64" };

function readGolden(golden: Checkpoint, name: string): Tensor {
  const { shape, dtype } = golden.tensors.get(name) ?? { shape: [], dtype: "" };
  return Tensor.fromBytes(Uint8Array.from(golden.readSync(name)), shape, dtypes[dtype] ?? "float32");
}

/** The largest difference of two tensors. */
export function difference(a: Tensor, b: Tensor): number {
  return scope(() => a.sub(b).abs().amax().item());
}

/**
 * Holds a network against what transformers computes: its logits, the stream before every block, and, where `lastHidden`, the one
 * behind the final norm; with caches, a piece and then token by token, the same. To `bound`, 1e-4 where none is given, and to
 * 1e-5 of the largest number where that is above 10.
 */
export function compareGolden(
  source: TensorSource,
  spec: DecoderSpec,
  golden: Checkpoint,
  { lastHidden, bound: least = 1e-4 }: { readonly lastHidden: boolean; readonly bound?: number },
): void {
  scope(() => {
    const get = (name: string): Tensor => readGolden(golden, name);
    const near = (name: string, found: Tensor, expected: Tensor): void => {
      const bound = Math.max(least, 1e-5 * expected.abs().amax().item());
      const off = difference(found, expected);
      expect([name, off < bound ? "near" : off]).toEqual([name, "near"]);
    };
    using decoder = Decoder.load(source, spec);
    const ids = get("input_ids").to("int64");
    const logits = get("logits");
    const time = ids.size(1);
    expect(logits.shape).toEqual([2, time, spec.vocabSize]);
    using rotary = RotaryTables.create(spec, time, "cpu");
    noGrad(() => {
      let x = embed(spec, decoder.outer, ids);
      decoder.blocks.forEach((block, k) => {
        near(`hidden.${k}`, x, get(`hidden.${k}`));
        x = forwardBlock(blockOf(spec, k), block, x, { rotary });
      });
      if (!lastHidden) return;
      const name = `hidden.${decoder.blocks.length}`;
      near(name, normalise(x, decoder.outer.finalNorm, spec.finalNorm), get(name));
    });
    near("logits", decoder.logits(ids), logits);
    const caches = decoder.caches();
    near("a piece", decoder.logits(ids.narrow(1, 0, SPLIT), { caches }), logits.narrow(1, 0, SPLIT));
    for (let t = SPLIT; t < time; t++) {
      near(`token ${t}`, decoder.logits(ids.narrow(1, t, 1), { caches }), logits.narrow(1, t, 1));
    }
    for (const cache of caches) cache.dispose();
  });
}
