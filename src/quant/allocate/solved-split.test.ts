import { expect, it } from "vitest";
import { liveHandles, scope, Tensor } from "../../tensor/index.js";
import type { GptqResult } from "../solver/gptq.js";
import { fewPairs, type GroupBits, pairedBits } from "./paired-pointer.js";
import { solvedSplit } from "./solved-split.js";

const salience = [3, 1, 4, 1.5, 9, 2.6, 5, 3.5];

/** What a solver gives that loses least with so many pairs, and whose codes say how many there were. */
function solver(best: number, asked: GroupBits[]): (bits: GroupBits) => GptqResult {
  return (bits) => {
    asked.push(bits);
    const pairs = bits.filter((each) => each === 3).length;
    const [rows, ones] = [2, Tensor.ones([2, 1, 1])];
    return {
      codes: {
        bits: 3,
        groupBits: bits,
        symmetric: false,
        groupSize: 8,
        scale: ones,
        zeroPoint: ones.clone(),
        codes: Tensor.full([rows, 64], pairs),
      },
      corrected: null,
      loss: Tensor.full([rows, 1], Math.abs(pairs - best)),
      damping: 0.01,
    };
  };
}

it("keeps what the split gave that loses least, and solves each once", () => {
  for (const best of [0, 2, 3]) {
    const before = liveHandles();
    scope(() => {
      const asked: GroupBits[] = [];
      const { codes } = solvedSplit(salience, 2, solver(best, asked));
      expect(asked.map((bits) => bits.filter((each) => each === 3).length)).toEqual(fewPairs(8));
      expect(codes.groupBits).toEqual(pairedBits(salience, 2, best));
      // Codes, scale, zero point and loss of that one alone.
      expect(liveHandles() - before).toBe(4);
      expect(codes.codes.amax().item()).toBe(best);
    });
    expect(liveHandles()).toBe(before);
  }
});
