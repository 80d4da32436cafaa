/** Markup that is as it should be: made by `html`, or fixed text of ours. */
export class Markup {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What may stand in a template: text, which is escaped; markup, which is not; lists of both; nothing. */
export type Piece = string | number | Markup | null | undefined | false | readonly Piece[];

/**
 * Markup of a template. Whatever is put in is text unless it is markup itself: names of models and texts are anyone's, and must not
 * become part of a page.
 */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Markup {
  return new Markup(parts.map((part, i) => (i === 0 ? part : `${rendered(pieces[i - 1])}${part}`)).join(""));
}

function rendered(piece: Piece): string {
  if (piece === null || piece === undefined || piece === false) return "";
  if (piece instanceof Markup) return piece.text;
  if (typeof piece === "object") return piece.map(rendered).join("");
  return escaped(String(piece));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/** Text for an element or a quoted attribute. Control characters and halves of pairs become the sign for what is unknown. */
function escaped(text: string): string {
  return text.replace(/[^\P{Cc}\n\r\t]|\p{Cs}/gu, "\ufffd").replace(/[&<>"'`]/g, (sign) => entities[sign] ?? sign);
}
