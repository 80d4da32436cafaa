import { createLogUpdate } from "log-update";
import stringWidth from "string-width";
import wrapAnsi from "wrap-ansi";

/** What a live block needs of a terminal. */
export interface TerminalStream {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/**
 * Lines at the bottom of a terminal that are replaced in place, with lines above them that stay. One picture is one write,
 * so that nothing comes in between.
 */
export class LiveBlock {
  readonly #update: ReturnType<typeof createLogUpdate>;
  #buffer = "";
  #lines: readonly string[] = [];

  constructor(private readonly stream: TerminalStream) {
    const block = this;
    this.#update = createLogUpdate(
      {
        get columns() {
          return block.width + 1;
        },
        get rows() {
          return stream.rows ?? 24;
        },
        write: (text: string) => {
          block.#buffer += text;
          return true;
        },
      } as unknown as NodeJS.WritableStream,
      { showCursor: true },
    );
  }

  /** Columns that a line may take. The last one stays empty: a terminal's cursor waits there before it wraps. */
  get width(): number {
    return Math.max(10, (this.stream.columns ?? 80) - 1);
  }

  /** Shows these lines in place of the ones before, each at most `width` wide. */
  show(lines: readonly string[]): void {
    this.#paint(lines);
    this.#flush();
  }

  /** Puts lines that stay above the block. Words stay whole, paths that are longer than a line too. */
  above(notes: readonly string[]): void {
    const lines = this.#lines;
    this.#clear();
    this.#buffer += notes.map((note) => `${wrapNote(note, this.width)}\n`).join("");
    this.#paint(lines);
    this.#flush();
  }

  /**
   * The terminal has another width: it has wrapped lines that became too long, so that the block takes more rows than it has
   * lines.
   */
  resized(): void {
    const columns = Math.max(1, this.stream.columns ?? 80);
    const rows = this.#lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(stringWidth(line) / columns)), 0);
    const extra = rows - this.#lines.length;
    this.#clear();
    if (extra > 0) this.#buffer += "\x1b[1A\x1b[2K".repeat(extra);
    this.#flush();
  }

  /** Takes the block away. */
  clear(): void {
    this.#clear();
    this.#flush();
  }

  /**
   * Takes it away after a signal from the keyboard: with it the terminal may have dropped a part of what was being written, so that
   * nobody knows where the cursor is. What lies below it goes.
   */
  abandon(): void {
    this.#lines = [];
    this.#buffer = "";
    this.stream.write("\x1b[0m\x1b[?2026l\r\x1b[J");
  }

  #paint(lines: readonly string[]): void {
    this.#lines = lines;
    if (lines.length === 0) this.#clear();
    else this.#update(lines.join("\n"));
  }

  #clear(): void {
    if (this.#lines.length > 0) this.#update.clear();
    this.#lines = [];
  }

  #flush(): void {
    const text = this.#buffer;
    this.#buffer = "";
    // A terminal that knows synchronized output shows the picture once it is whole; others ignore this.
    if (text !== "") this.stream.write(`\x1b[?2026h${text}\x1b[?2026l`);
  }
}

/** Wraps at words; further lines are indented. */
export function wrapNote(note: string, width: number): string {
  const indent = /^ */.exec(note)?.[0] ?? "";
  const wrapped = wrapAnsi(note.trimStart(), Math.max(10, width - indent.length - 2), { hard: false, trim: true });
  return wrapped
    .split("\n")
    .map((line, i) => `${indent}${i === 0 ? "" : "  "}${line}`)
    .join("\n");
}
