// Writes docs/measurements/vision.md from the lines of measure.mjs, mixed.mjs and static_quantization.py.
// usage: node bench/brecq/table.mjs RESULTS.jsonl... --machine "..." --date 2026-11-29 [--gpu "..."] [--note TEXT]... [--out docs/measurements/vision.md]
// Lines of a GPU (`device`) were measured on --gpu. Of several lines of one network, method and scheme the last counts.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    machine: { type: "string" },
    gpu: { type: "string" },
    date: { type: "string" },
    note: { type: "string", multiple: true, default: [] },
    out: { type: "string", default: "docs/measurements/vision.md" },
  },
});
const lines = positionals.flatMap((file) =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line)),
);
const networks = [...new Set(lines.map(({ network }) => network))];
const percent = (value) => (value === null || value === undefined ? "" : (100 * value).toFixed(2));
const kl = (value) => (value === undefined ? "" : value < 0.01 ? value.toExponential(1) : value.toFixed(3));

/** The last line of each method and scheme: what is measured again replaces what was. */
const latest = (rows) => [...new Map(rows.map((row) => [`${row.scheme} ${row.method}`, row])).values()];

const sections = networks.map((network) => {
  const own = latest(lines.filter((line) => line.network === network));
  const full = own.find(({ method }) => method === "full precision");
  const schemes = [...new Set(own.map(({ scheme }) => scheme))].filter(
    (scheme) => scheme !== undefined && scheme !== "fp32",
  );
  const known = typeof full?.accuracy === "number";
  const rows = schemes.flatMap((scheme) =>
    own
      .filter((row) => row.scheme === scheme)
      .map((row) =>
        row.refused === undefined
          ? `| ${scheme} | ${row.method} | ${known ? `${percent(row.accuracy)} | ` : ""}${percent(row.agreement)} | ${kl(row.kl)} | ${row.seconds ?? ""} |`
          : `| ${scheme} | ${row.method} | ${known ? "| " : ""}refused | ${row.refused.replaceAll("|", "/").slice(0, 80)} | |`,
      ),
  );
  const mixed = own.filter(({ scheme }) => scheme === undefined);
  const head = `| scheme | method | ${known ? "top-1 % | " : ""}agreement % | KL (nats) | seconds |\n|---|---|${known ? "---|" : ""}---|---|---|`;
  const facts = own.find(({ tests }) => tests !== undefined);
  const machine = facts.device?.startsWith("cuda") === true ? values.gpu : values.machine;
  const said = `${facts.examples} images for calibration, ${facts.tests} others for the test${known ? `; full precision ${percent(full.accuracy)} %` : ""}.`;
  const bits =
    mixed.length === 0
      ? ""
      : `\n\n| bits | ${known ? "top-1 % | " : ""}agreement % | KL (nats) | bytes of codes |\n|---|${known ? "---|" : ""}---|---|---|\n${mixed
          .map(
            (row) =>
              `| ${row.method} | ${known ? `${percent(row.accuracy)} | ` : ""}${percent(row.agreement)} | ${kl(row.kl)} | ${Math.round(row.bytes).toLocaleString("en")} |`,
          )
          .join("\n")}`;
  const measured = `Measured on ${machine}, ${values.date}, by \`node bench/brecq/measure.mjs\`.\n\n${said[0]?.toUpperCase()}${said.slice(1)}`;
  return `## ${network}\n\n${measured}\n\n${head}\n${rows.join("\n")}${bits}`;
});
writeFileSync(
  values.out,
  `# Vision networks

\`block\` is the recipe \`brecq\` as it is by default, \`layer\` the same layer by layer, \`rtn\` the same ranges with weights rounded to nearest;
all three have 8 bits in the first and the last layer and leave the image alone. \`onnxruntime\` is its static quantization on the same images, weights
per channel (\`bench/brecq/static_quantization.py\`); it has no type of 2 bits. Bits that are shared out come from \`bench/brecq/mixed.mjs\`. Agreement is that of the first class with full precision's, KL the mean of \`KL(full || quantized)\`.
${values.note.map((note) => `\n${note}\n`).join("")}
${sections.join("\n\n")}
`,
);
