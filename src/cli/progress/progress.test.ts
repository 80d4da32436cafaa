import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Screen } from "../testing/screen.js";
import { progressView } from "./progress.js";

const reading = { event: "progress", stage: "reading weights", done: 1, total: 4 } as const;
const warning = { event: "warning", message: "clipped", where: "lm_head", next: "use --asym" } as const;

/** A terminal for a view. */
class Terminal extends Screen {
  readonly isTTY = true;
  written = "";
  #resized: (() => void)[] = [];

  override write(text: string): void {
    this.written += text;
    super.write(text);
  }

  on(_: "resize", listener: () => void): void {
    this.#resized.push(listener);
  }

  off(_: "resize", listener: () => void): void {
    this.#resized = this.#resized.filter((each) => each !== listener);
  }

  override async resize(columns: number): Promise<void> {
    await super.resize(columns);
    for (const hear of this.#resized) hear();
  }
}

beforeEach(() => {
  // The terminal's own timers go on.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  vi.stubEnv("TERM", "xterm");
  vi.stubEnv("FORCE_COLOR", undefined);
  vi.stubEnv("NO_COLOR", undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe("progressView on a terminal", () => {
  it("updates one block in place, keeps notes above it, and takes the block away at the end", async () => {
    const stream = new Terminal(80, 24);
    const view = progressView(stream);
    vi.advanceTimersByTime(1000);
    expect(stream.written).toBe("");
    view.show(reading);
    vi.advanceTimersByTime(1000);
    expect(await stream.text()).toEqual([
      `${"█".repeat(13)}${"░".repeat(41)}  25 %`,
      "reading weights 1 of 4",
      expect.stringMatching(/^elapsed 0:02, memory [\d.]+ [MG]B$/),
    ]);
    view.show(warning);
    view.show({ ...reading, done: 2 });
    vi.advanceTimersByTime(200);
    expect(await stream.text()).toEqual([
      "warning: lm_head: clipped; next: use --asym",
      expect.stringContaining("50 %"),
      "reading weights 2 of 4",
      expect.stringContaining("elapsed 0:02"),
    ]);
    view.close();
    expect(await stream.text()).toEqual(["warning: lm_head: clipped; next: use --asym"]);
    const end = stream.written;
    view.show(warning);
    view.close();
    vi.advanceTimersByTime(10_000);
    await stream.resize(60);
    expect(stream.written).toBe(end);
  });

  it("paints at most five times a second, however many events come", () => {
    const stream = new Terminal(80, 24);
    const view = progressView(stream);
    for (let i = 0; i < 1000; i++) {
      view.show({ ...reading, done: i, total: 1000 });
      vi.advanceTimersByTime(1);
    }
    view.close();
    // Five pictures, and the one that takes the block away.
    expect(stream.writes).toBe(6);
  });

  it("follows the terminal's width, and wraps notes at words", async () => {
    const stream = new Terminal(100, 24);
    const view = progressView(stream);
    view.show(reading);
    vi.advanceTimersByTime(200);
    await stream.resize(30);
    view.show(warning);
    expect(await stream.text()).toEqual([
      "warning: lm_head: clipped;",
      "  next: use --asym",
      expect.stringMatching(/^█+░+ {2}25 %$/),
      "reading weights 1 of 4",
      expect.stringMatching(/^elapsed 0:00, memory/),
    ]);
    view.close();
  });

  it("has colours where they are wanted", () => {
    const written = (env: object): string => {
      for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value as string);
      const stream = new Terminal(80, 24);
      const view = progressView(stream);
      view.show(warning);
      view.close();
      return stream.written;
    };
    expect(written({})).toContain("\x1b[33mwarning:");
    expect(written({ NO_COLOR: "1" })).toContain("warning:");
    expect(written({ NO_COLOR: "1" })).not.toContain("\x1b[33m");
  });

  it("leaves the screen in order once the run is aborted, and writes nothing more", async () => {
    const stream = new Terminal(80, 24);
    const controller = new AbortController();
    const view = progressView(stream, { signal: controller.signal });
    view.show(reading);
    vi.advanceTimersByTime(200);
    const block = await stream.text();
    stream.write("^C");
    controller.abort();
    const before = stream.written;
    view.show(warning);
    vi.advanceTimersByTime(1000);
    view.close();
    expect(stream.written).toBe(before);
    // What it showed last stays; the keys do not.
    expect(await stream.text()).toEqual(block);
  });
});

describe("progressView elsewhere", () => {
  it("writes notes at once and a status line every five seconds, without escape sequences", () => {
    for (const dumb of [false, true]) {
      vi.stubEnv("TERM", dumb ? "dumb" : "xterm");
      const stream = {
        isTTY: dumb,
        written: "",
        write(text: string) {
          this.written += text;
        },
      };
      const view = progressView(stream);
      vi.advanceTimersByTime(6000);
      view.show(reading);
      view.show(warning);
      vi.advanceTimersByTime(9000);
      view.close();
      expect(stream.written.split("\n")).toEqual([
        "warning: lm_head: clipped; next: use --asym",
        expect.stringMatching(/^25 %, reading weights 1 of 4, elapsed 0:10, memory [\d.]+ [MG]B$/),
        expect.stringMatching(/^25 %, reading weights 1 of 4, elapsed 0:15, memory [\d.]+ [MG]B$/),
        "",
      ]);
    }
  });
});
