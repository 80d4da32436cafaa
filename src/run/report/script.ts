import { Markup } from "./html.js";

/**
 * What the page does by itself: the numbers of a cell of the heat map under the pointer, or under the arrow keys, as text. All else
 * works without it.
 */
export const script = new Markup(`
"use strict";
for (const map of document.querySelectorAll("[data-heat]")) {
  const readout = map.closest("section").querySelector("[data-readout]");
  const rows = [...map.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => cell.querySelector("button")));
  const legend = [...readout.childNodes];
  const cells = rows.flat().filter((button) => button !== null);
  if (cells.length > 0) cells[0].tabIndex = 0;
  const tell = (button) => readout.replaceChildren(button.title || button.getAttribute("aria-label"));
  const rest = () => readout.replaceChildren(...legend);
  map.addEventListener("pointerover", (event) => {
    if (event.target instanceof HTMLButtonElement) tell(event.target);
  });
  map.addEventListener("pointerleave", rest);
  map.addEventListener("focusin", (event) => tell(event.target));
  map.addEventListener("focusout", rest);
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  map.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    let row = rows.findIndex((list) => list.includes(event.target));
    let column = rows[row].indexOf(event.target);
    for (;;) {
      row += step[0];
      column += step[1];
      const next = rows[row]?.[column];
      if (next === undefined) return;
      if (next === null) continue;
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      return;
    }
  });
}
`);
