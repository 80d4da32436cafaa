import { describe, expect, it } from "vitest";
import { nearestName } from "./nearest-name.js";

describe("nearestName", () => {
  it("counts a swap as one edit and gives up on strangers", () => {
    expect(nearestName("sede", ["samples", "seed", "scheme"])).toBe("seed");
    expect(nearestName("xylophone", ["seed", "out"])).toBeNull();
  });
});
