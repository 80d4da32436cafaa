/**
 * Quantizes the bundled model with every recipe, a little, and prints a hash of each result's codes, scales and other
 * tensors. Before and after a change that should not touch results, the same machine prints the same lines:
 *
 *   node scripts/golden-runs.mjs > before.txt        (and --root FOLDER for the build of another checkout)
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
const { root, only } = parseArgs({
  options: { root: { type: "string", default: HERE }, only: { type: "string", default: "" } },
}).values;

/** @type {Readonly<Record<string, readonly string[]>>} */
const RUNS = {
  rtn: ["--recipe", "rtn", "--scheme", "W4A16g64"],
  "rtn per channel": ["--recipe", "rtn", "--scheme", "W3A16", "--asym"],
  gptq: ["--recipe", "gptq", "--scheme", "W3A16g64", "--asym"],
  "gptq W4A4": ["--recipe", "gptq", "--scheme", "W4A4"],
  cbq: ["--scheme", "W2A16g64", "--asym", "--finish", "none"],
  "cbq and end-to-end": ["--scheme", "W2A16g64", "--set", "endToEnd.epochs=2"],
  "cbq paper": ["--scheme", "W4A8", "--preset", "paper", "--set", "window.epochs=1"],
  "cbq W4A4 rotated": ["--scheme", "W4A4", "--finish", "none"],
  "cbq static inputs": ["--scheme", "W4A8", "--set", "activation.granularity=tensor", "--finish", "none"],
  "cbq AdaRound": ["--scheme", "W3A16", "--set", "rounding.kind=adaround", "--finish", "none"],
  "cbq overrides": ["--scheme", "W3A16g64", "--finish", "none", "--config", "overrides.json"],
  boa: ["--recipe", "boa", "--scheme", "W2A16g64", "--asym"],
  aespa: ["--recipe", "aespa", "--scheme", "W2A16g64", "--asym", "--set", "aespa.iterations=50"],
  "norm-tweaking": ["--recipe", "norm-tweaking", "--scheme", "W2A16g64", "--asym"],
  "affine-quant": ["--recipe", "affine-quant", "--scheme", "W4A4", "--asym", "--set", "affine.epochs=2"],
  "affine-quant paper": ["--recipe", "affine-quant", "--scheme", "W3A16g64", "--preset", "paper"],
  "efficient-qat": ["--recipe", "efficient-qat", "--scheme", "W2A16g64", "--asym", "--set", "blockAp.epochs=1"],
  "efficient-qat paper": ["--recipe", "efficient-qat", "--scheme", "W3A8", "--preset", "paper"],
  "gptq and end-to-end": [
    "--recipe",
    "gptq",
    "--scheme",
    "W3A16g64",
    "--finish",
    "scales",
    "--set",
    "endToEnd.epochs=1",
  ],
};

const OVERRIDES = {
  overrides: [
    { pattern: "model.layers.0.*", bits: 4 },
    { pattern: "*.o_proj", bits: 8, group: "channel" },
    { pattern: "model.layers.5.mlp.down_proj", skip: true },
  ],
};

const work = mkdtempSync(join(tmpdir(), "golden-runs-"));
try {
  writeFileSync(join(work, "overrides.json"), JSON.stringify(OVERRIDES));
  // Text that every checkout has, whatever is installed.
  writeFileSync(join(work, "text.txt"), readFileSync(join(root, "LICENSE"), "utf8").repeat(2));
  for (const dtype of ["float32", "bfloat16"]) {
    for (const [name, flags] of Object.entries(RUNS)) {
      if (!name.startsWith(only)) continue;
      const out = join(work, "out");
      const common = [
        "--calibration",
        "text.txt",
        "--samples",
        "6",
        "--context",
        "96",
        "--effort",
        "normal",
        "--out",
        out,
      ];
      const epochs = flags.includes("--recipe") || flags.includes("--preset") ? [] : ["--set", "window.epochs=2"];
      const program = [join(root, "dist", "cli", "main.js"), "quantize", join(root, "models", "sotu-llama-7m")];
      execFileSync("node", [...program, ...common, ...flags, ...epochs, "--set", `compute.dtype=${dtype}`], {
        cwd: work,
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, OMP_NUM_THREADS: "1" },
      });
      const hash = createHash("sha256");
      for (const file of readdirSync(out).sort()) {
        if (file.endsWith(".safetensors")) hash.update(readFileSync(join(out, file)));
      }
      console.log(`${hash.digest("hex").slice(0, 16)}  ${dtype}  ${name}`);
      rmSync(out, { recursive: true });
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
