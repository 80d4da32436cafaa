import { optionEntries, optionValue, type UntypedOptions } from "../../recipe/merge-options.js";
import { type PresetName, presetNames } from "../../recipe/options.js";
import { dependentDefaults, presets } from "../../recipe/presets.js";

/**
 * The defaults of an option that go with another option or with a preset: "0.1 with rounding.kind=lora".
 *
 * @param own its default otherwise, as JSON
 */
export function otherDefaults(name: string, own: string): readonly string[] {
  const dependent = dependentDefaults.flatMap(({ option, value, defaults }) =>
    valueIn(defaults, name, `${option}=${value}`),
  );
  const preset = presetNames.flatMap((label: PresetName) => valueIn(presets[label].options, name, `--preset ${label}`));
  return [...dependent, ...preset]
    .filter(({ value }) => value !== own)
    .map(({ value, when }) => `${value} with ${when}`);
}

function valueIn(options: UntypedOptions, name: string, when: string): readonly { value: string; when: string }[] {
  const isThere = optionEntries(options).some(([entry]) => entry === name);
  return isThere ? [{ value: JSON.stringify(optionValue(options, name)), when }] : [];
}
