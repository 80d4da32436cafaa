// Logits of results by crossblock against those of Python transformers, which reads the same folder or an export of it.
// usage: node bench/judge/compare-logits.mjs PYTHON TOKENS.json DEVICE RESULT[=EXPORT.gguf] ...
// A result that transformers does not load has a row that says so; why stands on standard error.
// Prints |ours - theirs| / |theirs| (Euclidean norms over all logits) and the largest difference as a share of the largest
// logit, per dtype; beside them what the dtype itself costs: ours in that dtype against ours in fp32.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { loadModel } from "../../dist/index.js";

const [python, tokensFile, device, ...results] = process.argv.slice(2);
if (results.length === 0) throw new Error("usage: compare-logits.mjs PYTHON TOKENS DEVICE RESULT[=EXPORT.gguf] ...");
// Older libtorches multiply no fp16 matrices on a CPU.
const dtypes = device === "cpu" ? ["float32", "bfloat16"] : ["float32", "float16", "bfloat16"];
const tokens = JSON.parse(readFileSync(tokensFile, "utf8"));
const folder = mkdtempSync(join(tmpdir(), "crossblock-logits-"));

/** The one fp32 tensor of a safetensors file. */
function readLogits(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
}

async function ownLogits(model, dtype) {
  const loaded = await loadModel(model, { device, dtype });
  try {
    return (await loaded.logits(tokens)).data;
  } finally {
    await loaded[Symbol.asyncDispose]();
  }
}

function difference(actual, expected) {
  if (actual.length !== expected.length) throw new Error(`${actual.length} logits against ${expected.length}`);
  let [squares, all, largest, top] = [0, 0, 0, 0];
  for (let i = 0; i < actual.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    squares += distance ** 2;
    all += expected[i] ** 2;
    largest = Math.max(largest, distance);
    top = Math.max(top, Math.abs(expected[i]));
  }
  return `${Math.sqrt(squares / all).toExponential(1)}, ${(largest / top).toExponential(1)}`;
}

const pairs = results.map((argument) => {
  const [result, exported = result] = argument.split("=");
  return { result, exported };
});
try {
  console.log("| result | dtype | against transformers | against our own fp32 |\n|---|---|---|---|");
  const exact = new Map();
  for (const dtype of dtypes) {
    const outputs = pairs.map((_, i) => join(folder, `${i}.safetensors`));
    const script = "bench/judge/transformers_logits.py";
    const models = pairs.flatMap(({ exported }, i) => [exported, outputs[i]]);
    execFileSync(python, [script, tokensFile, "--dtype", dtype, "--device", device, ...models], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    for (const [i, { result, exported }] of pairs.entries()) {
      const own = await ownLogits(result, dtype);
      if (!exact.has(result)) exact.set(result, own);
      const cells = [
        basename(exported),
        dtype,
        existsSync(outputs[i]) ? difference(own, readLogits(outputs[i])) : "not loaded",
        difference(own, exact.get(result)),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
