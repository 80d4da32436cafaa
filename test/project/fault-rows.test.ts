import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FAULT_ROWS } from "../../scripts/stress/fault-rows.mjs";

describe("the table of faults", () => {
  it.each(FAULT_ROWS.map(([fault, , file, titles]) => ({ fault, file, titles })))(
    "names a test that is there: $fault",
    ({ file, titles }) => {
      const found = [...readFileSync(file, "utf8").matchAll(/["'`]([^"'`\n]{3,})["'`]/g)].map(([, title]) => title);
      expect(found.some((title) => titles.test(title as string))).toBe(true);
    },
  );
});
