import { describe, expect, it } from "vitest";
import { Screen } from "../testing/screen.js";
import { LiveBlock, wrapNote } from "./live-block.js";

const head = "W2A16g64 by cbq on cpu, window 3 of 7 (blocks 3-4)";

describe("LiveBlock", () => {
  it("replaces its lines in place, keeps notes above them, and goes", async () => {
    const screen = new Screen(80, 24);
    const block = new LiveBlock(screen);
    screen.write("$ crossblock quantize\n");
    block.show([head, "epoch 1", "elapsed 0:01"]);
    block.show([head, "epoch 2 of 12", "elapsed 0:02"]);
    block.above(["window 1: done"]);
    block.show([head, "x", "elapsed 0:03"]);
    expect(await screen.text()).toEqual(["$ crossblock quantize", "window 1: done", head, "x", "elapsed 0:03"]);
    block.above(["window 2: done"]);
    block.show(["one line"]);
    expect(await screen.text()).toEqual(["$ crossblock quantize", "window 1: done", "window 2: done", "one line"]);
    block.clear();
    screen.write("the end\n");
    expect(await screen.text()).toEqual(["$ crossblock quantize", "window 1: done", "window 2: done", "the end"]);
  });

  it("writes a picture in one go", () => {
    const screen = new Screen(80, 24);
    const block = new LiveBlock(screen);
    for (const write of [() => block.show(["a", "b"]), () => block.above(["n", "m"]), () => block.show(["a", "c"])]) {
      const before = screen.writes;
      write();
      expect(screen.writes).toBe(before + 1);
    }
  });

  it.each([48, 30, 17, 120])("leaves no stale line when 100 columns become %s", async (columns) => {
    const screen = new Screen(100, 24);
    const block = new LiveBlock(screen);
    block.above(["first note"]);
    block.show([head, "█".repeat(60), "elapsed 1:05, about 2:03:05 left, memory 812 MB"]);
    await screen.resize(columns);
    block.resized();
    const lines = [head, "elapsed"].map((line) => line.slice(0, block.width));
    block.show(lines);
    expect(await screen.text()).toEqual(["first note", ...lines]);
    block.clear();
    expect(await screen.text()).toEqual(["first note"]);
  });

  it("stays whole at the bottom of the screen, where it scrolls", async () => {
    const screen = new Screen(40, 6);
    const block = new LiveBlock(screen);
    const notes = Array.from({ length: 20 }, (_, i) => `window ${i + 1}: done`);
    for (const note of notes) {
      block.above([note]);
      block.show(["head", "bar", "elapsed"]);
    }
    expect(await screen.text()).toEqual([...notes, "head", "bar", "elapsed"]);
  });

  it("leaves nothing half-written behind a signal that came amid a picture", async () => {
    const screen = new Screen(80, 24);
    const block = new LiveBlock(screen);
    block.show([head, "bar", "elapsed"]);
    // The terminal dropped the rest of a picture, and showed the keys.
    screen.write("\x1b[?2026h\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[GW2^C^C");
    block.abandon();
    screen.write("stopping\n");
    expect(await screen.text()).toEqual(["stopping"]);
  });
});

describe("wrapNote", () => {
  it("wraps at words, indents what follows, and leaves a long path whole", () => {
    const path = "/very/long/path/to/a/file/that/is/longer/than/the/line.safetensors";
    expect(wrapNote("warning: lm_head: clipped; next: use --asym", 20).split("\n")).toEqual([
      "warning: lm_head:",
      "  clipped; next: use",
      "  --asym",
    ]);
    expect(wrapNote(`wrote gguf: ${path}`, 30)).toBe(`wrote gguf:\n  ${path}`);
    expect(wrapNote("  a note of an export", 14).split("\n")).toEqual(["  a note of", "    an export"]);
    expect(wrapNote("short", 80)).toBe("short");
  });
});
