import { defaultRecipe, recipeOf } from "../recipe/job/recipe-names.js";
import { optionEntries } from "../recipe/options/merge-options.js";
import { leftOutSentence, sourceSentence } from "../run/events/census-record.js";
import type { PlanEvent } from "../run/events/events.js";
import { formatRange, shownEnd } from "../run/plan/time/range-text.js";
import { windowsText } from "./progress/places.js";
import { printable } from "./progress/render-progress.js";
import { formatBytes, formatCount, formatSeconds } from "./quantities.js";

/** The plan for a reader, as `--dry-run` prints it. */
export function formatPlan(plan: PlanEvent): string {
  const { estimate } = plan;
  const rows: readonly (readonly [string, string])[] = [
    ["model", plan.model],
    ...(plan.tensors.source === undefined ? [] : [["", sourceSentence(plan.tensors.source)] as const]),
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
    ...effortRows(plan),
    ["quantized", `${formatCount(plan.linears)} Linears, ${formatCount(plan.weights)} weights`],
    ...plan.protected.map(
      ({ as, linears, example }, i) =>
        [
          i === 0 ? "protected" : "",
          `${formatCount(linears)} of the kind "${as}" in full precision, as ${example}`,
        ] as const,
    ),
    ...plan.tensors.leftOut.map((group, i) => [i === 0 ? "left out" : "", printable(leftOutSentence(group))] as const),
    ["windows", windowsText(plan)],
    ["trained", `${formatCount(plan.trainedParameters)} parameters`],
    ["calibration", calibrationText(plan)],
    ["device", `${plan.device}, about ${formatBytes(estimate.deviceBytes)}`],
    ["host", `about ${formatBytes(estimate.hostBytes)}`],
    [
      "disk",
      `about ${formatBytes(estimate.diskBytes)}, of which ${written(plan)} ${formatBytes(estimate.resultBytes)}`,
    ],
    ["time", timeText(plan)],
    ...plan.exports.map(
      ({ format, path, bytes }, i) => [i === 0 ? "out" : "", `${path} (${format}, ${formatBytes(bytes)})`] as const,
    ),
  ];
  const note = [
    ...(plan.ownRuntime === undefined ? [] : [`runs in:     crossblock alone: ${plan.ownRuntime}`]),
    ...(plan.simulatedActivations === null ? [] : [`simulated:   ${plan.simulatedActivations}`]),
  ];
  return [...rows.map(([name, value]) => `${(name === "" ? "" : `${name}:`).padEnd(13)}${value}`), ...note, ""].join(
    "\n",
  );
}

// What stays: of several formats that is more than each of the sizes below.
function written({ exports }: PlanEvent): string {
  return exports.length > 1 ? `all ${exports.length} formats together` : "the result";
}

/** `5 to 9 min; other programs take 80 % of this CPU now`. */
export function timeText({ estimate: { range, load } }: PlanEvent): string {
  const busy = load < NOTICEABLE_LOAD ? "" : `; other programs take ${Math.round(load * 100)} % of this CPU now`;
  return `${formatRange(range)}${busy}`;
}

/** Less than this is what a machine does by itself. */
const NOTICEABLE_LOAD = 0.15;

/** How far a run was from the range of its plan, where the middle was off by more than 30 % of what it took; null otherwise. */
export function planMissed({ estimate }: PlanEvent, seconds: number): string | null {
  const [from] = estimate.range;
  const to = shownEnd(estimate.range);
  if (from <= seconds && seconds <= to) return null;
  if (Math.abs(estimate.seconds / seconds - 1) <= 0.3) return null;
  const off = (seconds > to ? to : from) / seconds - 1;
  return `the plan said ${formatRange(estimate.range)}: ${Math.round(Math.abs(off) * 100)} % too ${off > 0 ? "long" : "short"}`;
}

/** What more than the effort that a device chose costs and gives, in a line; null where there is nothing to say. */
export function moreEffort({
  effort,
  device,
  text,
  recipe,
}: Pick<PlanEvent, "effort" | "device" | "text" | "recipe">): string | null {
  if (effort === null || effort.more === null) return null;
  const { name, range } = effort.more;
  // What it gains was measured of the default recipe on a language model.
  const measured = recipe === defaultRecipe && text?.source !== "images" && text?.source !== "tensors";
  const gains = measured ? ` and ${MORE_GAINS}` : "";
  return `${effort.name} because this is a ${device === "cpu" ? "CPU" : "GPU"}; --effort ${name} takes ${formatRange(range)}${gains}`;
}

// SmolLM2-135M: docs/measurements/accuracy.md and, for little text and no end-to-end training, docs/measurements/speed.md.
const MORE_GAINS = "loses about a third as much (SmolLM2-135M at 3 bits)";

function effortRows(plan: PlanEvent): readonly (readonly [string, string])[] {
  const { effort } = plan;
  if (effort === null) return [];
  const values = optionEntries(effort.values).map(([name, value]) =>
    name === "samples" && effort.wanted !== null
      ? `samples=${String(value)} (${effort.wanted} of a text that is long enough: --calibration)`
      : `${name}=${String(value)}`,
  );
  const why =
    effort.chosen === "time" ? `${effort.name}, what fits into ${effort.time}` : (moreEffort(plan) ?? effort.name);
  return [["effort", why], ...(values.length === 0 ? [] : ([["", values.join(" ")]] as const))];
}

function calibrationText({ calibrationTokens, text, selfGenerated }: PlanEvent): string {
  if (text?.source === "images" || text?.source === "tensors") {
    return `${formatCount(calibrationTokens)} ${text.source === "images" ? "images" : "examples"}`;
  }
  const tokens = `${formatCount(calibrationTokens)} tokens`;
  if (text === null) return tokens;
  const why = text.why === null ? "" : ` (${text.why})`;
  if (selfGenerated === null) return `${tokens}${text.source === "bundled" ? " of the bundled text" : ""}${why}`;
  const { atOnce, seconds } = selfGenerated;
  return `${tokens} that the model makes up, ${formatCount(atOnce)} sequences at once, about ${formatSeconds(seconds)}${why}`;
}

// A recipe that has no choice of presets says nothing of them.
function recipeText({ recipe, preset }: PlanEvent): string {
  return Object.keys(recipeOf(recipe).presets).length > 1 ? `${recipe}, preset ${preset}` : recipe;
}
