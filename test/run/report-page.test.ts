import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reportPage } from "../../src/run/report/page.js";
import { reportRecord } from "../../src/run/report/report-record.js";
import { wholeRecord } from "../../src/run/report/testing/whole-record.js";
import { ChromiumPage, findChromium } from "../fixtures/chromium.js";

const chromium = findChromium();
let folder = "";
let page: ChromiumPage;

function fileOf(name: string, markup: string): string {
  const path = join(folder, name);
  writeFileSync(path, markup);
  return pathToFileURL(path).href;
}

describe.skipIf(chromium === null)(
  `report.html in a browser${chromium === null ? " (Chromium is not installed: apt-get install chromium)" : ""}`,
  () => {
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "crossblock-report-"));
      page = await ChromiumPage.open(chromium ?? "");
    });
    afterAll(async () => {
      await page[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    const views = [360, 800, 1400].flatMap((width) =>
      (["light", "dark"] as const).map((scheme) => [width, scheme] as const),
    );

    it.each(views)("is %i pixels wide, %s, without an error, and nothing is wider than it", async (width, scheme) => {
      const url = fileOf("report.html", reportPage(reportRecord(wholeRecord()), null));
      await page.view(width, scheme);
      await page.navigate(url);
      const picture = await page.screenshot();
      expect(page.errors).toEqual([]);
      expect(picture.readUInt32BE(16)).toBe(width);
      expect(picture.readUInt32BE(20)).toBeGreaterThan(900);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
      // Parts that scroll by themselves do so within their frames.
      const cut =
        "[...document.querySelectorAll('.value, .bar-text, .tile, h2')].filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').map((e) => e.textContent)";
      expect(await page.evaluate(cut)).toEqual([]);
      expect(await page.evaluate(contrasts)).toEqual([]);
    });

    it("tells the numbers of a cell under the arrow keys", async () => {
      await page.view(1400, "light");
      await page.navigate(fileOf("keys.html", reportPage(reportRecord(wholeRecord()), null)));
      const readout = "document.querySelector('[data-readout]').textContent";
      expect(await page.evaluate(readout)).toContain("logarithmic");
      await page.evaluate("document.querySelector('.heat button[tabindex=\"0\"]').focus()");
      expect(await page.evaluate(readout)).toContain("model.layers.0.self_attn.q_proj: error 0.25 %");
      await page.press("ArrowRight");
      expect(await page.evaluate(readout)).toContain("model.layers.0.mlp.down_proj: error 1.00 %");
      await page.press("ArrowDown");
      expect(await page.evaluate(readout)).toContain("model.layers.1.mlp.down_proj: error 4.00 %");
      await page.evaluate("document.activeElement.blur()");
      expect(await page.evaluate(readout)).toContain("logarithmic");
      expect(page.errors).toEqual([]);
    });

    it("runs nothing that a name or a text brings along", async () => {
      const hostile = `</script><script>globalThis.taken = 1</script><img src=x onerror="globalThis.taken = 2">`;
      const record = {
        ...wholeRecord(),
        name: hostile,
        samples: [{ prompt: hostile, source: hostile, result: hostile, roundToNearest: null }],
      };
      await page.navigate(fileOf("hostile.html", reportPage(reportRecord(record), null)));
      expect(await page.evaluate("String(globalThis.taken)")).toBe("undefined");
      expect(await page.evaluate("document.querySelector('h1').textContent")).toBe(hostile);
      expect(page.errors).toEqual([]);
    });

    it("would be found out: an exception, a console error, and a script that the policy does not name", async () => {
      const policed = reportPage(reportRecord({}), null).replace("</main>", "</main><script>1</script>");
      for (const markup of ["<script>null.x</script>", "<script>console.error('e')</script>", policed]) {
        page.errors.length = 0;
        await page.navigate(fileOf("wrong.html", markup));
        await page.evaluate("1");
        expect(page.errors.length, markup.slice(0, 40)).toBeGreaterThan(0);
      }
    });
  },
);

/** Texts whose contrast with what is behind them is below 4.5 (WCAG 2, AA). */
const contrasts = `(() => {
  const channel = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const parsed = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (e) => {
    for (let at = e; at !== null; at = at.parentElement) {
      const color = parsed(getComputedStyle(at).backgroundColor);
      if (color.length === 3) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("p, dt, dd, h1, h2, h3, span, th, td, figcaption, summary, time, b, footer")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "")) continue;
    const [a, b] = [luminance(parsed(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(e.className + " " + e.textContent.slice(0, 30) + " " + ratio.toFixed(2));
  }
  return found;
})()`;
