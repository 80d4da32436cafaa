import { describe, expect, it } from "vitest";
import { heldOutSequences } from "./held-out-sequences.js";
import { sampleSequences } from "./token-sequences.js";

const text = Int32Array.from({ length: 5000 }, (_, i) => i);
const sample = { samples: 9, context: 256, seed: 3 };

describe("held-out sequences", () => {
  it("share no token with the sample, are runs of the text, and are as many and as long as was asked", () => {
    const held = heldOutSequences(text, sample, { sequences: 5, context: 128 });
    expect(held).toMatchObject({ sequences: 5, context: 128 });
    const sampled = new Set(sampleSequences(text, sample).ids);
    const ids = [...(held?.ids ?? [])];
    expect(ids.length).toBe(640);
    expect(ids.some((id) => sampled.has(id))).toBe(false);
    expect(new Set(ids).size).toBe(640);
    for (let i = 0; i < 640; i++) expect((ids[i] ?? 0) - (ids[i - (i % 128)] ?? 0)).toBe(i % 128);
  });

  it("begin with a start token where one is given", () => {
    const held = heldOutSequences(text, { ...sample, start: 9999 }, { sequences: 3, context: 128 });
    const plain = heldOutSequences(text, sample, { sequences: 3, context: 128 });
    expect([...(held?.ids ?? [])]).toEqual(Array.from(plain?.ids ?? [], (id, at) => (at % 128 === 0 ? 9999 : id)));
  });

  it("are fewer and shorter where little is left, and none where nothing is", () => {
    const all = { samples: 19, context: 256, seed: 0 };
    expect(heldOutSequences(text, all, { sequences: 4, context: 512 })).toMatchObject({ sequences: 1, context: 136 });
    expect(heldOutSequences(text.subarray(0, 4864), all, { sequences: 4, context: 512 })).toBeNull();
    expect(heldOutSequences(text.subarray(0, 4900), all, { sequences: 4, context: 512 })).toBeNull();
    expect(heldOutSequences(text, { ...all, samples: 18 }, { sequences: 9, context: 256 })).toMatchObject({
      sequences: 1,
      context: 256,
    });
  });

  it("are others with another seed", () => {
    const ids = (seed: number): string =>
      heldOutSequences(text, { ...sample, seed }, { sequences: 2, context: 128 })?.ids.join() ?? "";
    expect(ids(1)).toBe(ids(1));
    expect(ids(1)).not.toBe(ids(2));
  });
});
