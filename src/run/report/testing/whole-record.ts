import type { LinearRecord } from "../../result/result-details.js";
import type { ReportRecord } from "../report-record.js";

/** A record in which every part of the page has something to show. */
export function wholeRecord(): ReportRecord & { readonly linears: NonNullable<ReportRecord["linears"]> } {
  const linear = (block: number, role: string, module: string, relativeError: number): LinearRecord => ({
    ...{ name: `model.layers.${block}.${module}`, block, role, rows: 64, columns: 128, bits: 4, groupSize: 64 },
    ...{
      bytes: 4352,
      relativeError,
      errorOf: "output",
      codes: [1, 4, 9, 16, 25, 36, 49, 64, 60, 50, 40, 30, 20, 10, 5, 1],
    },
    scales: [-0.5, 0.25],
  });
  return {
    name: "SmolLM2-135M",
    version: "0.1.0",
    created: "2026-01-02T03:04:05.678Z",
    scheme: "W4A16g64",
    symmetric: true,
    bitsPerWeight: 4.25,
    recipe: "cbq",
    preset: "default",
    effort: { name: "quick", chosen: "device" },
    options: { model: "SmolLM2-135M" },
    engine: { torch: "1.13.0", device: "cpu", dtype: "float32" },
    calibration: { source: "files", tokens: 100_000, sequences: 24, context: 512 },
    sizes: {
      source: 269_060_552,
      formats: [
        { format: "compressed-tensors", path: ".", bytes: 113_098_656, embeddingBytes: 56_623_104 },
        { format: "gguf", path: "gguf/a.gguf", bytes: 89_100_000, embeddingBytes: 28_900_000 },
      ],
    },
    quality: {
      ...{ text: "4 sequences of the calibration text that nothing was calibrated on", tokens: 2044, context: 512 },
      perplexity: { source: 30, result: 32.5, roundToNearest: 41.94 },
      ...{ divergence: 0.07, roundToNearestDivergence: 0.33, seconds: 12 },
    },
    qualityMissing: null,
    linears: [
      linear(0, "q", "self_attn.q_proj", 0.0025),
      linear(0, "down", "mlp.down_proj", 0.01),
      linear(1, "down", "mlp.down_proj", 0.04),
    ],
    samples: [
      {
        prompt: "Why is the sky blue?",
        source: "Because of Rayleigh scattering.",
        result: "Because of scattering.",
        roundToNearest: "Blue blue blue.",
      },
    ],
    samplesMissing: null,
    windows: [0, 1].map((window) => ({
      window,
      blocks: [window, window + 1] as [number, number],
      lossBefore: { total: 0.0129 + window },
      lossAfter: { total: 0.0115 + window },
      losses: { steps: 400, means: Array.from({ length: 200 }, (_, i) => 0.02 / (1 + i / 40)) },
      seconds: 250,
    })),
    timeline: [
      { stage: "planning", start: "2026-01-02T03:04:05.678Z", seconds: 2 },
      { stage: "windows", start: "2026-01-02T03:04:07.678Z", seconds: 500 },
      { stage: "writing gguf", start: "2026-01-02T03:12:27.678Z", seconds: 3 },
    ],
    peakMemoryBytes: 1.2e9,
    seconds: 505,
    warnings: [{ message: "memory ran out once", where: "device cpu", next: "nothing to do" }],
  };
}
