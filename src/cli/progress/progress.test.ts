import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { progressView } from "./progress.js";

const reading = { event: "progress", stage: "reading weights", done: 1, total: 4 } as const;
const warning = { event: "warning", message: "clipped", where: "lm_head", next: "use --asym" } as const;

/** A terminal of which only what progress uses is there: lines, the way up, clearing below. */
function screen(isTTY: boolean): { isTTY: boolean; columns: number; written: string; write(text: string): void } {
  return {
    isTTY,
    columns: 80,
    written: "",
    write(text: string) {
      this.written += text;
    },
  };
}

function shown(written: string): string[] {
  const lines: string[] = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are the subject
  for (const piece of written.match(/\x1b\[\d*[AJ]|\x1b\[\?7[lh]|[^\x1b\n]*\n/g) ?? []) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are the subject
    const up = /^\x1b\[(\d+)A$/.exec(piece);
    if (up !== null) lines.length -= Number(up[1]);
    else if (piece.endsWith("\n")) lines.push(piece.slice(0, -1));
  }
  return lines;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubEnv("TERM", "xterm");
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe("progressView on a terminal", () => {
  it("updates one block in place, keeps notes above it, and takes the block away at the end", () => {
    const stream = screen(true);
    const view = progressView(stream);
    vi.advanceTimersByTime(1000);
    expect(stream.written).toBe("");
    view.show(reading);
    vi.advanceTimersByTime(1000);
    expect(shown(stream.written)).toEqual([
      `${"█".repeat(13)}${"░".repeat(41)}  25 %`,
      "reading weights 1 of 4",
      expect.stringMatching(/^elapsed 0:02, memory [\d.]+ MB$/),
    ]);
    view.show(warning);
    view.show({ ...reading, done: 2 });
    vi.advanceTimersByTime(200);
    expect(shown(stream.written)).toEqual([
      "warning: lm_head: clipped; next: use --asym",
      expect.stringContaining("50 %"),
      "reading weights 2 of 4",
      expect.stringContaining("elapsed 0:02"),
    ]);
    view.close();
    expect(shown(stream.written)).toEqual(["warning: lm_head: clipped; next: use --asym"]);
    const end = stream.written;
    view.show(warning);
    view.close();
    vi.advanceTimersByTime(10_000);
    expect(stream.written).toBe(end);
  });

  it("paints at most five times a second, however many events come", () => {
    const stream = screen(true);
    const view = progressView(stream);
    for (let i = 0; i < 1000; i++) {
      view.show({ ...reading, done: i, total: 1000 });
      vi.advanceTimersByTime(1);
    }
    view.close();
    expect(stream.written.split("reading weights").length - 1).toBe(5);
  });

  it("leaves the screen alone once the run is aborted", () => {
    const stream = screen(true);
    const controller = new AbortController();
    const view = progressView(stream, { signal: controller.signal });
    view.show(reading);
    vi.advanceTimersByTime(200);
    const before = stream.written;
    controller.abort();
    view.show(warning);
    vi.advanceTimersByTime(1000);
    view.close();
    expect(stream.written).toBe(before);
  });
});

describe("progressView elsewhere", () => {
  it("writes notes at once and a status line every five seconds, without escape sequences", () => {
    for (const dumb of [false, true]) {
      vi.stubEnv("TERM", dumb ? "dumb" : "xterm");
      const stream = screen(dumb);
      const view = progressView(stream);
      vi.advanceTimersByTime(6000);
      view.show(reading);
      view.show(warning);
      vi.advanceTimersByTime(9000);
      view.close();
      expect(stream.written.split("\n")).toEqual([
        "warning: lm_head: clipped; next: use --asym",
        expect.stringMatching(/^25 %, reading weights 1 of 4, elapsed 0:10, memory [\d.]+ MB$/),
        expect.stringMatching(/^25 %, reading weights 1 of 4, elapsed 0:15, memory [\d.]+ MB$/),
        "",
      ]);
    }
  });
});
