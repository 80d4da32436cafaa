import { describe, expect, it } from "vitest";
import { reportPage } from "./page.js";
import { type CertifiedFormat, reportRecord } from "./report-record.js";
import { wholeRecord } from "./testing/whole-record.js";

const certified: readonly CertifiedFormat[] = [
  {
    format: "gguf",
    agrees: false,
    same: 75,
    lossy: 1,
    tensors: 76,
    runtime: { status: "disagrees", said: "node-llama-cpp 3 disagrees", divergence: 0.25 },
  },
];

function page(record: unknown, found: readonly CertifiedFormat[] | null = null): string {
  return reportPage(reportRecord(record), found);
}

/** What a reader sees: without tags, entities as the signs that they stand for. */
function textOf(markup: string): string {
  return markup
    .replace(/<(style|script)>[\s\S]*?<\/\1>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&")
    .replace(/\s+/g, " ");
}

describe("a report", () => {
  it("tells perplexities, sizes with the embedding's share, stages, errors and what was not verified", () => {
    const text = textOf(page(wholeRecord()));
    expect(text).toContain("30.0 → 32.5");
    expect(text).toContain("round to nearest 41.9");
    expect(text).toContain("269 → 89.1 MB");
    expect(text).toContain("89.1 MB, 32 % embedding");
    expect(text).toContain("windows 8 min 20 s");
    expect(text).toContain("0.0129 → 0.0115");
    expect(text).toContain("Not verified yet");
  });

  it("orders Linears by their error, and shows each in the map with its numbers", () => {
    const markup = page(wholeRecord());
    const rows = [...markup.matchAll(/<th scope="row"><span title="([^"]*)"/g)].map(([, name]) => name);
    expect(rows).toEqual([
      "model.layers.1.mlp.down_proj",
      "model.layers.0.mlp.down_proj",
      "model.layers.0.self_attn.q_proj",
    ]);
    expect(markup).toContain('title="model.layers.1.mlp.down_proj: error 4.00 %, 4 bits, 64 × 128, 4.35 kB"');
    // The smallest error is palest, the largest darkest; what is not quantized has no cell.
    expect([...markup.matchAll(/--depth:([\d.]+)%/g)].map(([, depth]) => Number(depth))).toEqual([6, 53, 100]);
    expect(markup.match(/<td class="none">/g)?.length).toBe(1);
  });

  it("counts blocks from 1, as the terminal does", () => {
    const markup = page(wholeRecord());
    expect(textOf(markup)).toMatch(/1 blocks 1–2 .* 2 blocks 2–3 /);
    const heat = /<table class="heat"[\s\S]*?<\/table>/.exec(markup)?.[0] ?? "";
    expect([...heat.matchAll(/<th scope="row">(\d+)<\/th>/g)].map(([, block]) => block)).toEqual(["1", "2"]);
    expect(textOf(markup)).toContain("Blocks count from 1, in the names of tensors from 0.");
  });

  it("shows what verify found once it ran", () => {
    const text = textOf(page(wholeRecord(), certified));
    expect(text).toContain("files something disagrees");
    expect(text).toContain("KL 2.5e-1 nats a token");
    expect(text).not.toContain("Not verified yet");
  });

  it("says of each part that a record lacks why it is not there: of an early version, of one that tells nothing", () => {
    for (const record of [{ scheme: "W4A16", windows: [], quality: { no: 1 } }, {}, null, "text"]) {
      const text = textOf(page(record));
      for (const why of ["Not scored", "Not recorded", "No stages are recorded", "Not written", "Not verified yet"]) {
        expect(text).toContain(why);
      }
    }
    const text = textOf(
      page({
        ...wholeRecord(),
        quality: null,
        qualityMissing: "no text was given",
        samples: null,
        samplesMissing: "no tokenizer",
      }),
    );
    expect(text).toContain("Not scored: no text was given.");
    expect(text).toContain("Not written: no tokenizer.");
  });

  it("takes nothing that a model or a text says for markup", () => {
    const hostile = `</script><script>alert(1)</script><img src=x onerror="alert('2')">\`\u0000\ud800`;
    const whole = wholeRecord();
    const record = {
      ...whole,
      name: hostile,
      scheme: hostile,
      linears: whole.linears.map((linear) => ({ ...linear, name: hostile, role: `${linear.role}" onfocus="x` })),
      samples: [{ prompt: hostile, source: hostile, result: hostile, roundToNearest: hostile }],
      warnings: [{ message: hostile, where: hostile, next: hostile }],
      timeline: [{ stage: hostile, start: hostile, seconds: 1 }],
      sizes: { source: 1, formats: [{ format: hostile, path: hostile, bytes: 1, embeddingBytes: 1 }] },
    };
    const markup = page(record, [{ ...(certified[0] as CertifiedFormat), format: hostile }]);
    expect(markup.match(/<script/g)?.length).toBe(1);
    expect(markup.match(/<\/script/g)?.length).toBe(1);
    expect(markup).not.toMatch(/<img/);
    // No attribute is left early: after what a quoted one holds comes white space or the end of the tag.
    expect(markup.replace(/<(style|script)>[\s\S]*?<\/\1>/g, "")).not.toMatch(/\son\w+\s*=["']/);
    expect(markup).not.toContain("\u0000");
    expect(markup).not.toMatch(/\p{Cs}/u);
    expect(textOf(markup)).toContain("alert(1)");
  });

  it("needs no network: nothing in it is read from elsewhere", () => {
    const markup = page(wholeRecord());
    expect(markup).not.toMatch(/https?:\/\/|\bsrc=|@import|url\(/);
    expect(markup).toContain("default-src &#39;none&#39;");
  });
});
