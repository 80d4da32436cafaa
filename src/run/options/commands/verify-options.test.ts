import { describe, expect, it } from "vitest";
import { OptionError } from "../../../errors.js";
import { resolveVerifyOptions } from "./verify-options.js";

describe("resolveVerifyOptions", () => {
  it.each(["device", "project"])("refuses %s where no runtime is compared", (name) => {
    const value = name === "device" ? "cpu" : "folder";
    const given = { result: "r", runtimes: false, [name]: value };
    expect(() => resolveVerifyOptions(given)).toThrow(OptionError);
    expect(() => resolveVerifyOptions(given)).toThrow(/Next: leave it out, or leave out --no-runtimes/);
    expect(resolveVerifyOptions({ result: "r", [name]: value })).toMatchObject({ [name]: value });
    expect(resolveVerifyOptions({ result: "r", runtimes: false })).toMatchObject({ device: "cpu" });
  });
});
