import { describe, expect, it } from "vitest";
import { resolveOptions, type UntypedOptions } from "./options.js";
import { refusal, required } from "./testing/refusal.js";

describe("calibration text that the model makes up", () => {
  const given = { calibration: ["self-generated"] };

  it("has defaults, and options that are read with it only", () => {
    const options = resolveOptions(required, given);
    expect(options.selfGenerated).toEqual({ temperature: 1, greedy: 0, scripts: null, batch: null });
    expect(resolveOptions(required, given, { selfGenerated: { scripts: [] } }).selfGenerated.scripts).toEqual([]);
    const unread = refusal({ selfGenerated: { temperature: 0.5 } });
    expect(unread.message).toMatch(
      /reads it only with --calibration self-generated.*give --calibration self-generated/,
    );
    expect(resolveOptions(required, { calibration: ["a/../self-generated"] }).calibration).toEqual([
      "./self-generated",
    ]);
    expect(resolveOptions(required, { calibration: ["./self-generated"] }).calibration).toEqual(["./self-generated"]);
  });

  it.each<[UntypedOptions, RegExp]>([
    [
      { calibration: ["self-generated", "text.txt"] },
      /does not go with other text.*--calibration self-generated alone/,
    ],
    [{ calibration: ["text.txt", "bundled"] }, /bundled does not go with other text.*--calibration bundled alone/],
    [{ calibration: ["bundled", "self-generated"] }, /self-generated does not go with other text/],
    [{ selfGenerated: { temperature: 0 } }, /"selfGenerated\.temperature".*0 does not fit/],
    [{ selfGenerated: { temperature: Number.NaN } }, /"selfGenerated\.temperature"/],
    [{ selfGenerated: { greedy: -1 } }, /"selfGenerated\.greedy".*-1 does not fit/],
    [{ selfGenerated: { greedy: 1.5 } }, /"selfGenerated\.greedy"/],
    [{ selfGenerated: { batch: 0 } }, /"selfGenerated\.batch".*0 does not fit/],
    [{ selfGenerated: { scripts: ["English"] } }, /"selfGenerated\.scripts\.0".*no script of Unicode/],
    [{ selfGenerated: { temprature: 1 } }, /did you mean "selfGenerated\.temperature"/],
  ])("is refused where it makes no sense: %j", (options, message) => {
    expect(refusal({ ...given, ...options }).message).toMatch(message);
  });
});
