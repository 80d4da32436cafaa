import { OptionError } from "../../../errors.js";
import { resolveOptions, type UntypedOptions } from "../options.js";

/** What every run needs. */
export const required = { model: "m", scheme: "W2A16g64", out: "o", calibration: ["text.txt"] };

/** Why options are refused beside these; a test fails where they are not. */
export function refusal(options: UntypedOptions): OptionError {
  try {
    resolveOptions(required, options);
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
  throw new Error("the options were accepted");
}
