import { describe, expect, it } from "vitest";
import { StatePace } from "./state-pace.js";

/** A pace by a clock that is moved by hand. */
function paceFrom(start: number): { pace: StatePace; wait: (seconds: number) => void } {
  let now = start;
  const wait = (seconds: number): void => {
    now += seconds;
  };
  return { pace: new StatePace(() => now), wait };
}

describe("StatePace", () => {
  it("saves after every window while that takes a second at most", () => {
    const { pace, wait } = paceFrom(7);
    for (let window = 0; window < 5; window++) {
      expect(pace.isDue).toBe(true);
      expect(pace.time(() => wait(1))).toBeUndefined();
    }
  });

  it("spends a twentieth of the time on saves that take longer", () => {
    const { pace, wait } = paceFrom(0);
    let saving = 0;
    let whole = 0;
    for (let window = 0; window < 400; window++, whole += 20) {
      wait(20);
      if (!pace.isDue) continue;
      pace.time(() => wait(10));
      saving += 10;
    }
    expect(saving / (whole + saving)).toBeGreaterThan(0.04);
    expect(saving / (whole + saving)).toBeLessThan(0.055);
  });

  it("keeps its pace when a save fails", () => {
    const { pace } = paceFrom(0);
    expect(() =>
      pace.time(() => {
        throw new Error("disk full");
      }),
    ).toThrow("disk full");
    expect(pace.isDue).toBe(true);
  });
});
