import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { whenPatienceEnds } from "./patience.js";

const patience = { milliseconds: 1000, longest: 5000 };
/** Milliseconds that this process has computed. */
let computed = 0;
let over = 0;
const end = (): void => void over++;

/** Lets time pass of which this process gets a share of the processor. */
function pass(milliseconds: number, share: number): void {
  for (let passed = 0; passed < milliseconds; passed += 25) {
    computed += 25 * share;
    vi.advanceTimersByTime(25);
  }
}

beforeEach(() => {
  [computed, over] = [0, 0];
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
  vi.spyOn(process, "cpuUsage").mockImplementation((before) => ({
    user: computed * 1000 - (before?.user ?? 0),
    system: 0,
  }));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("ends after so much work, once, and by the clock no sooner", () => {
  whenPatienceEnds(patience, end);
  pass(950, 2);
  expect(over).toBe(0);
  pass(100, 2);
  expect(over).toBe(1);
  pass(10_000, 1);
  expect(over).toBe(1);
});

it("waits longer where other processes compute", () => {
  whenPatienceEnds(patience, end);
  pass(3900, 1 / 4);
  expect(over).toBe(0);
  pass(200, 1 / 4);
  expect(over).toBe(1);
});

it("ends without any work, in the end", () => {
  whenPatienceEnds(patience, end);
  pass(4900, 0);
  expect(over).toBe(0);
  pass(200, 0);
  expect(over).toBe(1);
});

it("is called off", () => {
  const callOff = whenPatienceEnds(patience, end);
  pass(500, 1);
  callOff();
  pass(10_000, 1);
  expect(over).toBe(0);
});
