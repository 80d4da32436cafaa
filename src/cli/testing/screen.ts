import xterm from "@xterm/headless";

/** A real terminal's screen: it wraps, scrolls, and wraps anew what was written when it gets another width. */
export class Screen {
  readonly #terminal: InstanceType<typeof xterm.Terminal>;
  writes = 0;

  constructor(cols: number, rows: number) {
    this.#terminal = new xterm.Terminal({ cols, rows, allowProposedApi: true, convertEol: true });
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  write(text: string): void {
    this.writes++;
    this.#terminal.write(text);
  }

  async resize(cols: number): Promise<void> {
    await this.settled();
    this.#terminal.resize(cols, this.rows);
  }

  settled(): Promise<void> {
    return new Promise((resolve) => this.#terminal.write("", resolve));
  }

  /** Everything that was written, what scrolled away included, without empty lines at the end. */
  async text(): Promise<string[]> {
    await this.settled();
    const { active } = this.#terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, i) => active.getLine(i)?.translateToString(true) ?? "");
    return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
  }
}
