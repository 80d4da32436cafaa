// Writes the tables of docs/measurements/methods.md from docs/measurements/methods.json.
// usage: node bench/methods/page.mjs [FILE...]   files of measure.mjs, whose records are taken over first
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FILE = join(ROOT, "docs/measurements/methods.json");
const PAGE = join(ROOT, "docs/measurements/methods.md");
const SCHEMES = ["W2A16g64", "W2A16", "W3A16g64", "W4A16g64", "W4A16", "W4A4"];
const METHODS = [
  "rtn",
  "gptq",
  "slim",
  "slim, slim.clipping=learnt",
  "norm-tweaking",
  "boa",
  "aespa",
  "affine-quant",
  "affine-quant, affine.norms=matrix",
  "l4q",
  "l4q, l4q.start=gptq, l4q.rate=1e-3",
  "efficient-qat",
  "cbq",
  "cbq, transform=affine",
];

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
  return [
    `## ${model}`,
    `Measured on ${machines.join(" and ")}${others}, ${dates.at(-1)}, by \`bench/methods/measure.mjs\`.`,
    `Perplexity, one number a seed${full(of)}:`,
    `<!-- figures: methods-${model.toLowerCase().replace(/[^a-z0-9]+/g, "-")} -->\n${table(of, perplexities)}`,
    "Mean KL divergence from the model itself, nats a token, of the first seed:",
    table(of, ([{ kl }]) => kl.toPrecision(2)),
    "Seconds of the whole command, and GB of device memory at most, of the first seed:",
    table(of, costs),
  ].join("\n\n");
}

function table(records, cell) {
  const schemes = SCHEMES.filter((scheme) => records.some((record) => record.scheme === scheme));
  const named = unique(records.map(({ method }) => method));
  const methods = [
    ...METHODS.filter((method) => named.includes(method)),
    ...named.filter((name) => !METHODS.includes(name)),
  ];
  return [
    `| | ${schemes.join(" | ")} |`,
    `|---|${schemes.map(() => "---|").join("")}`,
    ...methods.map((method) => {
      const cells = schemes.map((scheme) => {
        const seeds = records.filter((record) => record.method === method && record.scheme === scheme);
        return seeds.length === 0 ? "" : cell(seeds.sort((a, b) => a.seed - b.seed));
      });
      return `| \`${method}\` | ${cells.join(" | ")} |`;
    }),
  ].join("\n");
}

function full(records) {
  const measured = records.find(({ fullPrecision }) => fullPrecision !== undefined);
  return measured === undefined ? "" : `; full precision has ${short(measured.fullPrecision)}`;
}

function perplexities(seeds) {
  return seeds.map(({ perplexity }) => short(perplexity)).join(", ");
}

function costs([{ seconds, deviceBytes }]) {
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
