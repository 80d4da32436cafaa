/**
 * Quantizes a tiny Llama of thousands of windows in one process and watches its memory: `npm run test:soak [-- WINDOWS]`,
 * 2,000 windows unless told otherwise. Fails when what the process holds grows by 2 % or more after the warm-up.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const BUNDLED = join(ROOT, "models", "sotu-llama-7m");
const SIZES = { hidden: 16, inner: 32, vocabulary: 4096 };
/** Parts of the run that memory is averaged over. */
const PARTS = 10;
/** Of them, those before libtorch, V8 and the allocator have what they keep. */
const WARM_UP = 4;
const MOST_GROWTH = 0.02;

/**
 * @param {{ windows: number, report?: (line: string) => void }} options
 * @returns {Promise<import("./soak-test.mjs").SoakOutcome>}
 */
export async function soak({ windows, report = () => {} }) {
  // Every collection is a full one, in the engine's thread too: otherwise what waits for one is ten times what is looked for.
  setFlagsFromString("--gc-global");
  const { quantize } = await import("../../dist/index.js");
  const folder = mkdtempSync(join(tmpdir(), "crossblock-soak-"));
  try {
    const model = join(folder, "model");
    await writeRandomLlama(model, windows + 1);
    const text = join(folder, "text.txt");
    writeFileSync(text, "the union of the states and the state of the union. ".repeat(40));
    const part = Math.floor(windows / PARTS);
    /** @type {number[]} mean bytes of each part */
    const means = [];
    let [sum, done, descriptors] = [0, 0, 0];
    const run = quantize({
      ...{ model, scheme: "W2A16g8", calibration: [text], samples: 4, context: 8, device: "cpu", effort: "normal" },
      ...{ out: join(folder, "out"), window: { epochs: 1, batch: 2 }, range: { candidates: 4 }, gptq: { widths: [1] } },
    });
    for await (const { event } of run) {
      if (event !== "window-done") continue;
      sum += process.memoryUsage.rss();
      if (++done % part !== 0) continue;
      means.push(sum / part);
      sum = 0;
      descriptors = process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
      report(`${done} windows: ${((means.at(-1) ?? 0) / 1e6).toFixed(1)} MB, ${descriptors} open files`);
    }
    return { windows: done, means, descriptors, growth: growthOf(means.slice(WARM_UP)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What the line of best fit grows by from its first point to its last.
 * @param {readonly number[]} values
 */
function growthOf(values) {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const slope =
    values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0) /
    values.reduce((sum, _value, i) => sum + (i - middle) ** 2, 0);
  return (slope * middle * 2) / (mean - slope * middle);
}

/** @param {string} folder @param {number} blocks */
async function writeRandomLlama(folder, blocks) {
  const { writeSafetensors } = await import("../../dist/checkpoint/safetensors/write-safetensors.js");
  const { hidden, inner, vocabulary } = SIZES;
  mkdirSync(folder);
  const config = {
    ...{ model_type: "llama", hidden_size: hidden, intermediate_size: inner, num_hidden_layers: blocks },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, vocab_size: vocabulary, max_position_embeddings: 64 },
    ...{ rms_norm_eps: 1e-5, rope_theta: 10000, hidden_act: "silu", tie_word_embeddings: true },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(BUNDLED, file), join(folder, file));
  /** @type {[string, number[]][]} */
  const inBlock = [
    ["self_attn.q_proj", [hidden, hidden]],
    ["self_attn.k_proj", [hidden / 2, hidden]],
    ["self_attn.v_proj", [hidden / 2, hidden]],
    ["self_attn.o_proj", [hidden, hidden]],
    ["mlp.gate_proj", [inner, hidden]],
    ["mlp.up_proj", [inner, hidden]],
    ["mlp.down_proj", [hidden, inner]],
    ["input_layernorm", [hidden]],
    ["post_attention_layernorm", [hidden]],
  ];
  const shapes = Array.from({ length: blocks }, (_, k) =>
    inBlock.map(([name, shape]) => /** @type {const} */ ([`model.layers.${k}.${name}.weight`, shape])),
  ).flat();
  const outer = /** @type {const} */ ([
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ["model.norm.weight", [hidden]],
  ]);
  let seed = 1;
  const tensors = [...outer, ...shapes].map(([name, shape]) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const bytes = () => {
      // Park and Miller's generator: any numbers do. Small, so that two thousand blocks add up to something finite.
      const values = Float32Array.from({ length }, () => {
        seed = (seed * 48271) % 2147483647;
        return shape.length === 1 ? 1 : (seed / 2147483647 - 0.5) * 0.2;
      });
      return new Uint8Array(values.buffer);
    };
    return { name, dtype: "F32", shape, byteLength: length * 4, bytes };
  });
  await writeSafetensors(folder, tensors);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const windows = Number(process.argv[2] ?? 2000);
  const started = performance.now();
  const { growth, means } = await soak({ windows, report: (line) => void process.stdout.write(`${line}\n`) });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(`${windows} windows in ${seconds} s: memory grew by ${(growth * 100).toFixed(2)} %\n`);
  process.exitCode = growth < MOST_GROWTH && means.length === PARTS ? 0 : 1;
}
