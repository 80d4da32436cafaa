/** Ends a text that comes in pieces at the first of some texts, of which nothing is shown. */
export class StopTexts {
  #held = "";
  #stopped = false;

  /** @param texts none empty */
  constructor(private readonly texts: readonly string[]) {}

  /** Whether one of the texts has come. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What can be shown of the text so far: an end that may be the beginning of a stop text waits. */
  push(piece: string): string {
    if (this.#stopped) return "";
    const text = this.#held + piece;
    const at = Math.min(...this.texts.map((stop) => text.indexOf(stop)).filter((found) => found >= 0));
    this.#stopped = Number.isFinite(at);
    const shown = this.#stopped ? at : text.length - this.#begun(text);
    this.#held = this.#stopped ? "" : text.slice(shown);
    return text.slice(0, shown);
  }

  /** What was waiting when the text has ended. */
  end(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** Length of the longest end of a text with which a stop text begins. */
  #begun(text: string): number {
    const longest = Math.min(text.length, Math.max(0, ...this.texts.map((stop) => stop.length - 1)));
    for (let length = longest; length > 0; length--) {
      const end = text.slice(-length);
      if (this.texts.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
