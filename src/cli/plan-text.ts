import { recipeOf } from "../recipe/job/recipe-names.js";
import { leftOutSentence } from "../run/events/census-record.js";
import type { PlanEvent } from "../run/events/events.js";
import { printable } from "./progress/render-progress.js";
import { formatBytes, formatCount, formatSeconds } from "./quantities.js";

/** The plan for a reader, as `--dry-run` prints it. */
export function formatPlan(plan: PlanEvent): string {
  const { estimate } = plan;
  const windows = plan.windows.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  const shown = windows.length > 12 ? [...windows.slice(0, 6), "...", ...windows.slice(-3)] : windows;
  const rows: readonly (readonly [string, string])[] = [
    ["model", plan.model],
    [
      "scheme",
      `${plan.scheme} ${plan.symmetric ? "symmetric" : "asymmetric"}, ${plan.bitsPerWeight.toFixed(2)} bits per weight`,
    ],
    ...(plan.bitsBudget === null
      ? []
      : [
          [
            "budget",
            `${plan.bitsBudget} bits a code on average, scales and zero points on top; shared out once the text is read`,
          ] as const,
        ]),
    ["recipe", recipeText(plan)],
    ["quantized", `${formatCount(plan.linears)} Linears, ${formatCount(plan.weights)} weights`],
    ...plan.tensors.leftOut.map((group, i) => [i === 0 ? "left out" : "", printable(leftOutSentence(group))] as const),
    ["windows", `${plan.windows.length} over ${plan.blocks} blocks: ${shown.join(" ")}`],
    ["trained", `${formatCount(plan.trainedParameters)} parameters`],
    ["calibration", calibrationText(plan)],
    ["device", `${plan.device}, about ${formatBytes(estimate.deviceBytes)}`],
    ["host", `about ${formatBytes(estimate.hostBytes)}`],
    ["disk", `about ${formatBytes(estimate.diskBytes)}, of which the result ${formatBytes(estimate.resultBytes)}`],
    ["time", `about ${formatSeconds(estimate.seconds)}`],
    ...plan.exports.map(
      ({ format, path, bytes }, i) => [i === 0 ? "out" : "", `${path} (${format}, ${formatBytes(bytes)})`] as const,
    ),
  ];
  const note = plan.simulatedActivations === null ? [] : [`simulated:   ${plan.simulatedActivations}`];
  return [...rows.map(([name, value]) => `${(name === "" ? "" : `${name}:`).padEnd(13)}${value}`), ...note, ""].join(
    "\n",
  );
}

function calibrationText({ calibrationTokens, selfGenerated }: PlanEvent): string {
  const tokens = `${formatCount(calibrationTokens)} tokens`;
  if (selfGenerated === null) return tokens;
  const { atOnce, seconds } = selfGenerated;
  return `${tokens} that the model makes up, ${formatCount(atOnce)} sequences at once, about ${formatSeconds(seconds)}`;
}

// A recipe that has no choice of presets says nothing of them.
function recipeText({ recipe, preset }: PlanEvent): string {
  return Object.keys(recipeOf(recipe).presets).length > 1 ? `${recipe}, preset ${preset}` : recipe;
}
