// Every network of a folder of networks, rounded to nearest at 4 bits and read back by transformers from each folder that crossblock writes.
// usage: node bench/judge/every-family.mjs --networks FOLDER --out FOLDER [--python python3] [--gptq-python python3] [--most 1e-5] [--only a,b]
// A network is a folder with config.json and weights, such as those beside the tests. Columns: the compressed-tensors folder as
// transformers reads it; the AWQ folder unpacked by awq_dequantize.py, whose reader knows none of our code; GPTQ and AWQ folders by
// transformers with GPTQModel, which multiplies in fp16 (--gptq-python; left out without it). Numbers are |ours - theirs| / |theirs|
// of the logits of 24 tokens in fp32. Groups are of 32 columns, or as many of 16 or 8 as the widths allow.
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const { values } = parseArgs({
  options: {
    networks: { type: "string" },
    out: { type: "string" },
    python: { type: "string", default: process.env.CROSSBLOCK_JUDGE_PYTHON ?? "python3" },
    "gptq-python": { type: "string" },
    only: { type: "string" },
    most: { type: "string", default: "1e-5" },
  },
});
if (values.networks === undefined || values.out === undefined) {
  throw new Error("usage: every-family.mjs --networks FOLDER --out FOLDER [--python python3] [--gptq-python python3]");
}
const [networks, out] = [resolve(values.networks), resolve(values.out)];
const { python, "gptq-python": gptqPython } = values;
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const run = promisify(execFile);
const cli = (...words) =>
  run(process.execPath, [join(root, "dist", "cli", "main.js"), ...words], { maxBuffer: 2 ** 26 });

/** The widest groups that all of its Linears allow; null with the reason. */
async function quantize(name) {
  let reason = "";
  for (const group of [32, 16, 8]) {
    const folder = join(out, name);
    const words = ["--recipe", "rtn", "--scheme", `W4A16g${group}`, "--device", "cpu", "--no-score", "--no-report"];
    try {
      await cli("quantize", join(networks, name), ...words, "--out", folder);
      return { folder };
    } catch ({ stderr, message }) {
      reason = (stderr ?? message).split("\n").find((line) => line.startsWith("error")) ?? message;
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { reason };
}

async function exported(folder, format) {
  try {
    await cli("export", folder, "--format", format);
    return join(folder, format);
  } catch ({ stderr, message }) {
    return { reason: (stderr ?? message).split("\n").find((line) => line.startsWith("error")) ?? message };
  }
}

/** Cells of one column by name: what compare-logits.mjs prints for fp32. */
function judged(reader, pairs) {
  if (pairs.length === 0) return new Map();
  const words = [join(here, "compare-logits.mjs"), reader, tokens, "cpu", ...pairs.map(({ pair }) => pair)];
  const env = { ...process.env, TORCHDYNAMO_DISABLE: "1", CUDA_VISIBLE_DEVICES: "" };
  const { stdout, stderr, status } = spawnSync(process.execPath, words, {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(stderr.slice(-2000));
  const rows = stdout.split("\n").filter((line) => line.includes("| float32 |"));
  return new Map(pairs.map(({ name }, i) => [name, rows[i].split("|")[3].split(",")[0].trim()]));
}

if (existsSync(out)) throw new Error(`${out} is there already; give another --out`);
mkdirSync(out, { recursive: true });
const tokens = join(out, "tokens.json");
writeFileSync(
  tokens,
  JSON.stringify([0, 1].map((j) => Array.from({ length: 12 }, (_, i) => ((7 * i + 3 * j) % 16) + 3))),
);
const names = readdirSync(networks).filter(
  (name) => existsSync(join(networks, name, "config.json")) && values.only?.split(",").includes(name) !== false,
);
const made = [];
for (const name of names) {
  const { folder, reason } = await quantize(name);
  if (folder === undefined) console.error(`${name}: ${reason}`);
  else made.push({ name, folder, gptq: await exported(folder, "gptq"), awq: await exported(folder, "awq") });
}
const ofAwq = made.filter(({ awq }) => typeof awq === "string");
const triples = ofAwq.flatMap(({ name, awq }) => [join(networks, name), awq, `${awq}-plain`]);
if (triples.length > 0) await run(python, [join(here, "awq_dequantize.py"), ...triples], { maxBuffer: 2 ** 26 });
const columns = [
  [
    "compressed-tensors",
    judged(
      python,
      made.map(({ name, folder }) => ({ name, pair: folder })),
    ),
  ],
  [
    "AWQ, unpacked",
    judged(
      python,
      ofAwq.map(({ name, folder, awq }) => ({ name, pair: `${folder}=${awq}-plain` })),
    ),
  ],
];
for (const format of gptqPython === undefined ? [] : ["gptq", "awq"]) {
  const pairs = made.filter((each) => typeof each[format] === "string");
  const cells = judged(
    gptqPython,
    pairs.map((each) => ({ name: each.name, pair: `${each.folder}=${each[format]}` })),
  );
  columns.push([`${format}, GPTQModel`, cells]);
}
console.log(`| network | ${columns.map(([title]) => title).join(" | ")} |\n|---|${columns.map(() => "---|").join("")}`);
let worst = 0;
for (const { name } of made) {
  console.log(`| ${name} | ${columns.map(([, cells]) => cells.get(name) ?? "refused").join(" | ")} |`);
  worst = Math.max(worst, ...columns.slice(1, 2).map(([, cells]) => Number(cells.get(name) ?? 0)));
}
if (!(worst <= Number(values.most))) process.exitCode = 1;
