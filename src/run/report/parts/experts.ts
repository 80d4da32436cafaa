import { figures } from "../figures.js";
import { html, type Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { section } from "./section.js";

/** How many calibration tokens each expert computed, block by block; nothing for networks without experts. */
export function experts({ linears }: ReportRecord): Markup | null {
  const blocks = new Map<number, readonly number[]>();
  for (const { block, tokens } of linears ?? []) {
    if (tokens !== undefined && !blocks.has(block)) blocks.set(block, tokens);
  }
  if (blocks.size === 0) return null;
  return section(
    "experts",
    "Tokens of the experts",
    "How many tokens of the calibration text each expert computed: one that saw few is quantized by what it would make of all of them.",
    html`<div class="scroll"><table class="linears"><thead><tr><th scope="col">block</th><th scope="col">least</th><th scope="col">median</th><th scope="col">most</th><th scope="col">experts, those with the fewest first</th></tr></thead><tbody>${[...blocks].map(([block, tokens]) => row(block, tokens))}</tbody></table></div>`,
  );
}

/** Experts of a block that are named. */
const NAMED = 6;

function row(block: number, tokens: readonly number[]): Markup {
  const order = [...tokens.keys()].sort((a, b) => (tokens[a] ?? 0) - (tokens[b] ?? 0));
  const at = (place: number): string => figures.count(tokens[order[place] ?? 0] ?? 0);
  const fewest = order.slice(0, NAMED).map((expert) => `${expert} (${figures.count(tokens[expert] ?? 0)})`);
  const rest = order.length > NAMED ? `, and ${order.length - NAMED} more` : "";
  return html`<tr><th scope="row">${block}</th><td class="number">${at(0)}</td><td class="number">${at(Math.floor(order.length / 2))}</td><td class="number">${at(order.length - 1)}</td><td>${fewest.join(", ")}${rest}</td></tr>`;
}
