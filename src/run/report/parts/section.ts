import { html, type Markup, type Piece } from "../html.js";

/** One part of the page with its heading. */
export function section(id: string, title: string, note: Piece, body: Piece): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${
    note === null ? null : html`<p class="note">${note}</p>`
  }${body}</section>`;
}

/** Says in the place of a part why it is not there. */
export function missing(why: string): Markup {
  return html`<p class="missing">${why}</p>`;
}
