import { describe, expect, it } from "vitest";
import { animatedSvg } from "../../scripts/pages/recording/animated-svg.mjs";
import { filmTimes } from "../../scripts/pages/recording/film-time.mjs";
import { TerminalFrames } from "../../scripts/pages/recording/terminal-frames.mjs";

const size = { title: "A & B", columns: 20, rows: 3 };

describe("filmTimes", () => {
  it("cuts pauses, and leaves what is short as it was", () => {
    expect(filmTimes([0.5, 1, 61, 61.5], 100)).toEqual([0.5, 1, 1.7, 2.2]);
  });

  it("makes all of it fit, and shows the last of what comes too fast", () => {
    const times = filmTimes(
      Array.from({ length: 1000 }, (_, i) => i / 10),
      4,
    );
    const shown = times.filter((time) => time !== null);
    expect(shown.length).toBeGreaterThan(15);
    expect(shown.length).toBeLessThanOrEqual(21);
    expect(times.at(-1)).toBeCloseTo(4);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
  });
});

describe("TerminalFrames", () => {
  it("keeps every screen that differs, with what is coloured, bold and wide", async () => {
    const terminal = new TerminalFrames(size);
    await terminal.write("$ a", 0, 0);
    await terminal.write("", 1, 1);
    await terminal.write("\r\n\x1b[1m  東京\x1b[22m \x1b[36mbar\x1b[39m end", 2, 5);
    await terminal.write("\r\x1b[K", 3, 6);
    const { frames } = terminal;
    expect(frames.map(({ at, clock }) => [at, clock])).toEqual([
      [0, 0],
      [2, 5],
      [3, 6],
    ]);
    expect(frames[1]?.rows[1]).toMatchObject([
      { column: 2, text: "東", width: 2, bold: true, color: null },
      { column: 4, text: "京", width: 2, bold: true },
      { column: 7, text: "bar", width: 3, bold: false, color: expect.stringMatching(/^#/) },
      { column: 11, text: "end", width: 3, color: null },
    ]);
    expect(frames[2]?.rows[1]).toEqual([]);
  });
});

describe("animatedSvg", () => {
  const run = (text: string) => ({ column: 0, text, width: text.length, color: null, bold: false, dim: false });
  const frames = [
    { at: 0, clock: 0, rows: [[run("<one>")], [], []] },
    { at: 1, clock: 75, rows: [[run("<one>")], [run("two")], []] },
    { at: 3, clock: 90, rows: [[run("<one>")], [run("three")], []] },
    { at: 3, clock: 90, rows: [[run("<one>")], [run("three")], [run("four")]] },
  ];

  it("draws a row once for each time in which it stays, the last ones visibly without animation", () => {
    const svg = animatedSvg(frames, size);
    expect(svg.match(/&lt;one&gt;/g)).toHaveLength(1);
    expect(svg).toMatch(
      /<g class="h"><text[^>]*>two<\/text><set[^>]*to="visible" begin="f\.begin\+1s" dur="2s"\/><\/g>/,
    );
    expect(svg).toMatch(/<g><text[^>]*>three<\/text><set[^>]*to="hidden" begin="f\.begin" dur="3s"\/><\/g>/);
    expect(svg).toContain(">1:15</text>");
    // Nothing shows for no time: that would be for ever.
    expect(svg).not.toMatch(/dur="0s"/);
  });

  it("plays again from the beginning, without a script, and is well-formed", () => {
    const svg = animatedSvg(frames, size);
    expect(svg).toContain('dur="9s" begin="0s;f.end"');
    expect(svg).toContain("<title>A &amp; B</title>");
    expect(svg).not.toMatch(/<script|javascript:|https?:\/\/(?!www\.w3\.org)/);
    const opened = [...svg.matchAll(/<\w+(?:\s[^>]*[^/])?>/g)].length;
    expect([...svg.matchAll(/<\/\w+>/g)]).toHaveLength(opened);
  });
});
