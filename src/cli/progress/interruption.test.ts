import { expect, it } from "vitest";
import type { PlanEvent, QuantizeEvent } from "../../run/events/events.js";
import { Interruption } from "./interruption.js";

it("says what of a stopped run is lost", () => {
  const interruption = new Interruption();
  const again = "run the same command again: it continues";
  expect(interruption.text(0)).toBe(again);
  const windows = [
    [0, 1],
    [1, 2],
    [0, 2],
  ] as const;
  interruption.apply({ event: "plan", windows, blocks: 3, recipe: "cbq" } as unknown as PlanEvent, 1);
  const at = (event: "window-start" | "window-done", window: number): QuantizeEvent =>
    ({ event, window, windows: 3, blocks: windows[window] }) as unknown as QuantizeEvent;
  interruption.apply(at("window-start", 1), 10);
  expect(interruption.text(100)).toBe(`${again} with window 2 of 2 (blocks 2-3), of which 1 min 30 s are lost`);
  interruption.apply(at("window-done", 1), 110);
  expect(interruption.text(111)).toBe(`${again} after window 2 of 2 (blocks 2-3)`);
  interruption.apply(at("window-start", 2), 112);
  expect(interruption.text(117.5)).toBe(`${again} with end to end, epoch 1 of 1, of which 5.5 s are lost`);
});
