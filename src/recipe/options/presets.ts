/** The named sets of values that recipes may have. They lie over the defaults and under whatever the user sets. */
export const presetNames = ["default", "paper"] as const;
export type PresetName = (typeof presetNames)[number];
export const defaultPreset: PresetName = "default";
