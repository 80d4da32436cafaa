/** The groups of a command's help, in its order. */
export const helpGroups = ["Common", "Calibration", "Output", "Machine"] as const;
export type HelpGroup = (typeof helpGroups)[number];

/** How an option of a schema is spelt as a flag, and where help lists it. */
export interface Flag {
  readonly flag: string;
  readonly group: HelpGroup;
}

/** Flags whose spelling is a contract; what they mean and default to comes from the schema. */
export const flags: Readonly<Record<string, Flag>> = {
  ...inGroup("Common", {
    revision: "--revision <name>",
    scheme: "--scheme <name>",
    asym: "--asym",
    recipe: "--recipe <name>",
    bitsBudget: "--bits-budget <bits>",
    preset: "--preset <name>",
    effort: "--effort <name>",
    time: "--time <duration>",
    finish: "--finish <stage>",
    export: "--export <paths...>",
    model: "--model <folder>",
    runtimes: "--no-runtimes",
    project: "--project <folder>",
    private: "--private",
    message: "--message <text>",
    unchecked: "--unchecked",
    dryRun: "--dry-run",
  }),
  ...inGroup("Calibration", {
    calibration: "--calibration <paths...>",
    samples: "--samples <n>",
    context: "--context <n>",
    sampler: "--sampler <name>",
    steps: "--steps <n>",
    seed: "--seed <n>",
    experts: "--experts <tokens>",
  }),
  ...inGroup("Output", {
    out: "--out <folder>",
    format: "--format <names...>",
    ggufEmbedding: "--gguf-embedding <type>",
    ggufOutput: "--gguf-output <type>",
    reencode: "--reencode",
    onnxPrecision: "--onnx-precision <name>",
    onnxAccuracy: "--onnx-accuracy <name>",
    qdqCodes: "--qdq-codes <type>",
    mlxScales: "--mlx-scales <type>",
    force: "--force",
    samplesGrid: "--samples-grid <file>",
    score: "--no-score",
    report: "--no-report",
  }),
  ...inGroup("Machine", {
    device: "--device <device>",
    maxMemory: "--max-memory <size>",
    deterministic: "--deterministic",
    work: "--work <folder>",
    fresh: "--fresh",
  }),
};

/** Options of `quantize` outside a group of options that have no flag: `--set` names them. */
export const settingsOnly: readonly string[] = ["rotation", "expertTokens", "overrides", "transform"];

function inGroup(group: HelpGroup, spellings: Readonly<Record<string, string>>): Readonly<Record<string, Flag>> {
  return Object.fromEntries(Object.entries(spellings).map(([name, flag]) => [name, { flag, group }]));
}
