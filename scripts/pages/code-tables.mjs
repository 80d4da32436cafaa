/** Tables that follow from the code: what each recipe, family and format does. They are made from dist/. */
import { readFileSync } from "node:fs";
import { assertHolds as assertAwq } from "../../dist/format/awq/layout.js";
import { quantizedBits } from "../../dist/format/bits/bits-per-weight.js";
import { exactTypes } from "../../dist/format/gguf/blocks/exact-type.js";
import { assertHolds } from "../../dist/format/gptq/layout.js";
import { assertHolds as assertMlx, scaleType } from "../../dist/format/mlx/layout.js";
import { containerOf } from "../../dist/format/onnx/layout.js";
import { families } from "../../dist/network/index.js";
import { effortNames } from "../../dist/recipe/options/efforts.js";
import { recipes } from "../../dist/recipe/recipes.js";
import { DEFAULT_CONTEXT } from "../../dist/run/options/default-context.js";
import { resolveOptions } from "../../dist/run/options/options.js";
import { formatRange } from "../../dist/run/plan/time/range-text.js";
import { familyExports } from "./family-exports.mjs";

const allExports = new Map(familyExports().map((each) => [each.family, each]));
const exportsOf = (/** @type {string} */ family) => {
  const found = allExports.get(family);
  if (found === undefined) throw new Error(`no tiny model of the family ${family}`);
  return found;
};

const NOT_MEASURED = ["not measured yet", "", "", "", ""];
/** @typedef {{ model: string, effort: string, scheme: string | null, machine: string, seconds: number | null, planned: readonly [number, number] | null, perplexity: number | null, bytes: number | null }} MeasuredEffort */
/** What `bench/effort/effort-table.mjs` has measured. @returns {MeasuredEffort[]} */
const measuredEfforts = () =>
  JSON.parse(readFileSync(new URL("../../docs/measurements/effort.json", import.meta.url), "utf8"));

const WIDTHS = [2, 3, 4, 5, 6, 8];
const GROUPS = [16, 32, 64, 128, 256];
/** A Linear of this size has every group that a format may ask for. */
const SIZE = 4096;

/** @param {number} bits @param {number | null} group columns, null for one group per row @param {boolean} symmetric */
const layout = (bits, group, symmetric) => ({
  ...{ bits, symmetric, rows: SIZE, columns: SIZE },
  ...{ groupSize: group ?? SIZE, perChannel: group === null },
});
/** @param {readonly string[]} header @param {readonly (readonly string[])[]} rows */
const table = (header, rows) =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
/** @template T @param {() => T} attempt @returns {T | null} */
const orNull = (attempt) => {
  try {
    return attempt();
  } catch {
    return null;
  }
};
const schemes = WIDTHS.flatMap((bits) => [true, false].map((symmetric) => /** @type {const} */ ([bits, symmetric])));
const kind = (/** @type {boolean} */ symmetric) => (symmetric ? "symmetric" : "asymmetric");
const taken = (/** @type {number | null} */ seconds) => (seconds === null ? "" : `${(seconds / 60).toFixed(1)} min`);
const yes = (/** @type {boolean} */ is) => (is ? "yes" : "no");

/** Header and rows of bits per quantized weight, scales and zero points included. */
export function bitsTable() {
  const groups = [32, 64, 128].flatMap((group) =>
    [true, false].map((symmetric) => /** @type {const} */ ([group, symmetric])),
  );
  return {
    header: ["", ...groups.map(([group, symmetric]) => `groups of ${group}, ${kind(symmetric)}`)],
    rows: WIDTHS.map((bits) => [
      `W${bits}`,
      ...groups.map(([group, symmetric]) => (quantizedBits(layout(bits, group, symmetric)) / SIZE ** 2).toFixed(2)),
    ]),
  };
}

/** @type {Readonly<Record<string, () => string>>} */
export const codeTables = {
  efforts: () => {
    const cell = (/** @type {number | null} */ value, /** @type {number} */ digits) =>
      value === null ? "" : value.toFixed(digits);
    const order = ["source", ...effortNames];
    const runs = measuredEfforts().sort(
      (a, b) =>
        b.model.localeCompare(a.model) ||
        order.indexOf(a.effort) - order.indexOf(b.effort) ||
        (b.scheme ?? "").localeCompare(a.scheme ?? "") ||
        a.machine.localeCompare(b.machine),
    );
    const rows = runs.map((run) => [
      [run.model, ...(run.scheme === null ? ["full precision"] : [run.scheme, `\`--effort ${run.effort}\``])].join(
        ", ",
      ),
      run.machine,
      run.seconds === null && run.planned !== null ? `${formatRange(run.planned)}, planned` : taken(run.seconds),
      cell(run.perplexity, 2),
      cell(run.bytes === null ? null : run.bytes / 1e6, 0),
    ]);
    return table(["", "machine", "time", "perplexity", "GGUF, MB"], rows.length > 0 ? rows : [NOT_MEASURED]);
  },

  "effort-values": () => {
    const given = { model: "m", out: "o", scheme: "W4A16", calibration: ["t"] };
    const of = (/** @type {"cbq" | "efficient-qat"} */ recipe, /** @type {"quick" | "normal" | "best"} */ effort) => {
      const { window, blockAp, finish, endToEnd } = resolveOptions({ ...given, recipe, effort });
      const stage = finish === "none" ? "none" : `${endToEnd.epochs}`;
      return `${recipe === "cbq" ? window.epochs : blockAp.epochs} epochs, ${stage} end to end`;
    };
    const rows = effortNames.map((effort) => {
      const { samples, context } = resolveOptions({ ...given, effort });
      const where = { quick: ", the default on a CPU", normal: ", the default on a GPU", best: "" }[effort];
      const text = `${samples} x ${(context ?? DEFAULT_CONTEXT).toLocaleString("en-US")} tokens`;
      return [`\`--effort ${effort}\`${where}`, text, of("cbq", effort), of("efficient-qat", effort)];
    });
    return table(["", "text", "`cbq`", "`efficient-qat`"], rows);
  },

  bits: () => table(bitsTable().header, bitsTable().rows),

  recipes: () =>
    table(
      [
        "recipe",
        "what it is",
        "paper",
        "presets",
        "needs text",
        "scales end to end by default",
        "rotates 4-bit inputs by default",
        "option groups of its own and shared ones",
      ],
      recipes.map((recipe) => [
        `\`${recipe.name}\``,
        recipe.title,
        recipe.paper,
        Object.keys(recipe.presets).join(", "),
        ...[recipe.needsText, recipe.followedByEndToEnd, recipe.rotatesByDefault].map(yes),
        Object.keys(recipe.options)
          .map((name) => `\`${name}\``)
          .join(", ") || "none",
      ]),
    ),

  families: () =>
    table(
      [
        "`model_type`",
        "norms",
        "positions",
        "MLP",
        "query and key norms",
        "sliding window",
        "compressed-tensors, GPTQ, AWQ",
        "ONNX",
        "GGUF",
        "MLX",
      ],
      [...families.values()].map(({ modelType, norm, positions, kinds, mlp, attention }) => [
        `\`${modelType}\``,
        `${norm.kind === "rms" ? "RMSNorm" : "LayerNorm"}${norm.gain === "1+w" ? ", 1 + w" : ""}`,
        positions === "rotary" ? "rotary" : positions === "alibi" ? "ALiBi" : "learned",
        mlp.kind,
        yes(attention.qkNorm !== false),
        attention.slidingWindow === null ? "none" : kinds === undefined ? "in all blocks" : "block by block",
        "yes",
        ...[exportsOf(modelType).onnx, exportsOf(modelType).gguf, exportsOf(modelType).mlx].map((refused) =>
          yes(refused === null),
        ),
      ]),
    ),

  formats: () =>
    table(
      [
        "weights",
        "compressed-tensors",
        "GPTQ",
        "AWQ",
        "MLX, scales in",
        "ONNX, stored in",
        ...GROUPS.map((group) => `GGUF, groups of ${group}`),
        "GGUF, a group per row",
      ],
      schemes.map(([bits, symmetric]) => [
        `W${bits} ${kind(symmetric)}`,
        "yes",
        orNull(() => assertHolds("", layout(bits, 64, symmetric), null) ?? true) === null
          ? "refused"
          : symmetric
            ? "yes"
            : "yes, `gptq_v2`",
        orNull(() => assertAwq("", layout(bits, 64, symmetric)) ?? true) === null ? "refused" : "yes",
        orNull(() => assertMlx("", layout(bits, 64, symmetric)) ?? true) === null
          ? "refused"
          : scaleType(layout(bits, 64, symmetric), "exact") === "F16"
            ? "fp16"
            : "fp32",
        `${orNull(() => containerOf(layout(bits, 64, symmetric)).bits) ?? "refused"} bits`,
        ...[...GROUPS, null].map((group) => {
          const [best] = exactTypes(layout(bits, group, symmetric));
          return best === undefined
            ? "refused"
            : `${best.type}${best.wider ? " (wider)" : ""}${best.fidelity === "minimum" ? " (fp16 offsets)" : ""}`;
        }),
      ]),
    ),
};
