import type { LinearRecord } from "../../result/result-details.js";
import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { missing, section } from "./section.js";

/** Blocks by Linears, the darker the larger a Linear's error is. */
export function heatMap({ linears }: ReportRecord): Markup {
  const title = "Errors, block by Linear";
  if (linears === null) {
    return section("errors", title, null, missing("Not recorded: this result was made by an earlier version."));
  }
  const known = linears.filter(({ relativeError }) => relativeError !== null && relativeError > 0);
  if (known.length === 0) return section("errors", title, null, missing("No error of any Linear is known."));
  const errors = known.map(({ relativeError }) => relativeError ?? 0);
  const [low, high] = [Math.min(...errors), Math.max(...errors)];
  const roles = [...new Set(linears.map(({ role }) => role))];
  const blocks = [...new Set(linears.map(({ block }) => block))].sort((a, b) => a - b);
  const found = new Map(linears.map((linear) => [`${linear.block} ${linear.role}`, linear]));
  // As everywhere that people read; names of tensors are as the model has them.
  const counted = "Blocks count from 1, in the names of tensors from 0.";
  const ofWeights = known.some(({ errorOf }) => errorOf === "weights");
  const note = ofWeights
    ? "Mean squared error of the weights over their mean square: no text was given to measure outputs on."
    : "Mean squared error of a Linear's output over the output's mean square, on inputs of the quantized network.";
  return section(
    "errors",
    title,
    `${note} ${counted}`,
    html`<div class="heat-frame"><table class="heat" data-heat><thead><tr><th scope="col"><span class="visually-hidden">block</span></th>${roles.map(
      (role) => html`<th scope="col">${role}</th>`,
    )}</tr></thead><tbody>${blocks.map(
      (block) =>
        html`<tr><th scope="row">${block + 1}</th>${roles.map((role) => cell(found.get(`${block} ${role}`), [low, high]))}</tr>`,
    )}</tbody></table></div><p class="readout" data-readout aria-live="polite">${legend(low, high)}</p>`,
  );
}

function cell(linear: LinearRecord | undefined, [low, high]: readonly [number, number]): Markup {
  if (linear === undefined) return html`<td class="none"><span class="visually-hidden">not quantized</span></td>`;
  const { name, relativeError, bits, rows, columns, bytes } = linear;
  const error = relativeError === null ? "error not known" : `error ${figures.percent(relativeError)}`;
  const text = `${name}: ${error}, ${bits} bits, ${rows} × ${columns}, ${figures.bytes(bytes)}`;
  const depth =
    relativeError === null || relativeError <= 0 ? 0 : high === low ? 50 : depthOf(relativeError, low, high);
  return html`<td><button type="button" tabindex="-1" style="--depth:${figures.place(depth)}%" title="${text}" aria-label="${text}"></button></td>`;
}

function depthOf(error: number, low: number, high: number): number {
  return 6 + (94 * (Math.log(error) - Math.log(low))) / (Math.log(high) - Math.log(low));
}

function legend(low: number, high: number): Markup {
  return html`<span class="scale" aria-hidden="true"></span> ${figures.percent(low)} to ${figures.percent(high)}, logarithmic`;
}
