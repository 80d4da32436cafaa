// Writes the tables of docs/measurements/methods.md from docs/measurements/methods.json.
// usage: node bench/methods/page.mjs [FILE...]   files of measure.mjs, whose records are taken over first
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FILE = join(ROOT, "docs/measurements/methods.json");
const PAGE = join(ROOT, "docs/measurements/methods.md");
const SCHEMES = ["W2A16g64", "W2A16", "W3A16g64", "W4A16", "W4A4"];
const METHODS = ["rtn", "gptq", "slim", "norm-tweaking", "boa", "aespa", "affine-quant", "l4q", "efficient-qat", "cbq"];

const records = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : [];
for (const file of process.argv.slice(2)) {
  for (const record of JSON.parse(readFileSync(file, "utf8"))) {
    const at = records.findIndex((each) => keyOf(each) === keyOf(record));
    if (at === -1) records.push(record);
    else records[at] = record;
  }
}
records.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
writeFileSync(FILE, `${JSON.stringify(records, null, 2)}\n`);

const sections = unique(records.map(({ model }) => model)).map(section);
const former = readFileSync(PAGE, "utf8");
const written = former.replace(
  /<!-- methods -->[\s\S]*<!-- \/methods -->/,
  () => `<!-- methods -->\n${sections.join("\n\n")}\n<!-- /methods -->`,
);
writeFileSync(PAGE, written);

function section(model) {
  const of = records.filter((record) => record.model === model);
  const machines = unique(of.map(({ machine }) => machine));
  const dates = unique(of.map(({ date }) => date)).sort();
  const beside = of.map((record) => record.beside);
  const [least, most] = [Math.min(...beside), Math.max(...beside)];
  const others = most === 0 ? "" : `, beside ${least === most ? most : `${least} to ${most}`} other runs`;
  const when = dates.length === 1 ? dates[0] : `${dates[0]} to ${dates.at(-1)}`;
  const header = [
    `## ${model}`,
    `Measured on ${machines.join(" and ")}${others}, ${when}, by \`node bench/methods/measure.mjs\`.`,
  ];
  return [...header, table(of, perplexities), table(of, costs, "Seconds, and GB of device memory at most:")].join(
    "\n\n",
  );
}

function table(records, cell, title) {
  const schemes = SCHEMES.filter((scheme) => records.some((record) => record.scheme === scheme));
  const named = unique(records.map(({ method }) => method));
  const methods = [
    ...METHODS.filter((method) => named.includes(method)),
    ...named.filter((name) => !METHODS.includes(name)),
  ];
  const lines = [
    `| | ${schemes.join(" | ")} |`,
    `|---|${schemes.map(() => "---|").join("")}`,
    ...methods.map((method) => {
      const cells = schemes.map((scheme) =>
        cell(
          records
            .filter((record) => record.method === method && record.scheme === scheme)
            .sort((a, b) => a.seed - b.seed),
        ),
      );
      return `| \`${method}\` | ${cells.join(" | ")} |`;
    }),
  ];
  return `${title === undefined ? "" : `${title}\n\n`}${lines.join("\n")}`;
}

/** Perplexities of the seeds, and behind them the divergence of the first. */
function perplexities(seeds) {
  if (seeds.length === 0) return "";
  return `${seeds.map(({ perplexity }) => short(perplexity)).join(", ")} (${seeds[0].kl.toPrecision(2)})`;
}

function costs(seeds) {
  if (seeds.length === 0) return "";
  const [{ seconds, deviceBytes }] = seeds;
  return [seconds.toFixed(0), ...(deviceBytes === null ? [] : [(deviceBytes / 1e9).toFixed(1)])].join(", ");
}

function short(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 100 ? 1 : 2);
}

function unique(list) {
  return [...new Set(list)];
}

function keyOf({ model, method, scheme, seed }) {
  return [model, SCHEMES.indexOf(scheme), method, seed].join("/");
}
