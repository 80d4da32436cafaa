import { figures } from "../figures.js";
import { html, type Markup, type Piece } from "../html.js";

/** One bar of a list. */
export interface Bar {
  readonly label: Piece;
  readonly value: number;
  readonly text: string;
  /** Its colour: what it tells of. */
  readonly kind: "source" | "result" | "nearest" | "plain";
  /** A part of it that is told apart, from the left, with what it is. */
  readonly part?: { readonly value: number; readonly name: string };
}

/** Bars from a common start, the longest as wide as there is room. */
export function bars(list: readonly Bar[]): Markup {
  const most = Math.max(...list.map(({ value }) => (Number.isFinite(value) ? value : 0)), Number.MIN_VALUE);
  const share = (value: number): string => figures.place(Math.max(0, Math.min(100, (value / most) * 100)));
  return html`<ul class="bars">${list.map(
    ({ label, value, text, kind, part }) =>
      html`<li><span class="bar-label">${label}</span><span class="bar-track" aria-hidden="true"><span class="bar ${kind}" style="width:${share(value)}%">${
        part === undefined || value === 0
          ? null
          : html`<span class="bar-part" style="width:${figures.place((part.value / value) * 100)}%" title="${part.name}"></span>`
      }</span></span><span class="bar-text">${text}</span></li>`,
  )}</ul>`;
}
