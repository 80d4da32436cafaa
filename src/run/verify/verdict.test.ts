import { describe, expect, it } from "vitest";
import type { ExportCertificate, RuntimeVerdict } from "./certificate.js";
import { certificatePage } from "./certificate-page.js";
import { verdictOf, verdictTitle } from "./verdict.js";

const logits = {
  divergence: 1e-4,
  largestDifference: 0.1,
  topAgreement: 0.99,
  perplexity: 60,
  referencePerplexity: 50,
};
const agreed: RuntimeVerdict = {
  ...{
    status: "agrees",
    runtime: "node-llama-cpp 3.22.1",
    tokens: 128,
    texts: null,
    note: "It rounds",
    sameWeights: null,
  },
  asWritten: logits,
};

function checked(over: Partial<ExportCertificate>): ExportCertificate {
  return {
    ...{
      format: "compressed-tensors",
      path: ".",
      agrees: true,
      filesAgree: true,
      runtimesAgree: null,
      plannedBytes: 5,
    },
    ...{ bytes: 5, untouched: { comparedWith: "source model", tensors: 2 }, leftOut: { kept: 0, omitted: 0 } },
    ...{ disagreements: [], notes: [], runtime: { status: "absent", why: "our own" }, tensors: [] },
    ...over,
  } as ExportCertificate;
}

const itself = checked({});
const gptq = checked({ format: "gptq", path: "gptq", runtime: { status: "absent", why: "none loads it; see docs" } });
const silent = checked({
  format: "gguf",
  path: "g.gguf",
  runtime: { status: "absent", why: "it is not installed; npm" },
});
const ran = checked({ format: "gguf", path: "g.gguf", runtimesAgree: true, runtime: agreed });
const wrong = (of: ExportCertificate, over: Partial<ExportCertificate>): ExportCertificate => ({
  ...{
    ...of,
    agrees: false,
    disagreements: [
      { tensor: "blk.0", what: "code 3 instead of 4" },
      { tensor: "b", what: "c" },
    ],
  },
  ...over,
});

describe("the verdict", () => {
  it("says that no runtime ran, which is no agreement", () => {
    const verdict = verdictOf([itself, gptq, silent], null);
    expect(verdict).toMatchObject({ files: "agree", runtimes: "none ran", quality: "not measured" });
    expect(verdictTitle(verdict)).toBe("files agree, no runtime ran");
    expect(verdict.lines[1]).toBe("no runtime ran (gptq: none loads it; gguf: it is not installed)");
    expect(verdictOf([itself], null, "no text").lines[2]).toMatch(
      /^quality was not measured \(no text\); crossblock eval/,
    );
    expect(verdictOf([checked({ format: "qdq" })], null).lines[2]).toContain("eval measures it on images or tensors");
    expect(verdictOf([itself], null).lines[1]).toBe("no runtime ran: there is no export that one could run");
  });

  it("says who ran what, and what was lost", () => {
    const perplexity = { source: 30, result: 32.5, roundToNearest: 41.94 };
    const verdict = verdictOf([itself, gptq, ran], {
      text: "WikiText",
      tokens: 1000,
      context: 512,
      perplexity,
      divergence: 0.08,
      roundToNearestDivergence: null,
      seconds: null,
    });
    expect(verdictTitle(verdict)).toBe("files and runtimes agree");
    expect(verdict.lines).toEqual([
      "files agree: compressed-tensors, gptq, gguf hold what was optimised",
      "runtimes agree: node-llama-cpp 3.22.1 on gguf; not run: gptq: none loads it",
      "quality: perplexity 30.00 -> 32.50 (round to nearest 41.94), KL divergence 0.080 nats per token, on 1000 tokens of WikiText",
    ]);
  });

  it("tells files that are wrong from runtimes that compute something else", () => {
    const files = verdictOf([itself, wrong(silent, { filesAgree: false })], null);
    expect(files).toMatchObject({ files: "disagree", runtimes: "none ran" });
    expect(files.lines[0]).toBe("files disagree: gguf: blk.0: code 3 instead of 4, and 1 more");
    expect(verdictTitle(files)).toBe("files disagree");
    const runtimes = verdictOf([itself, wrong(ran, { runtimesAgree: false })], null);
    expect(runtimes).toMatchObject({ files: "agree", runtimes: "disagree" });
    expect(verdictTitle(runtimes)).toBe("a runtime disagrees");
  });
});

it("the page says once what several formats share, and no perplexity of 128 tokens", () => {
  const exports = [itself, { ...gptq, notes: ["a | note"] }, { ...ran, notes: ["a | note"] }];
  const verdict = verdictOf(exports, null);
  const page = certificatePage({
    ...{ version: "1", created: "now", result: "w4", scheme: "W4A16", census: null, agrees: true, verdict, exports },
  });
  expect(page).toMatch(
    /^# Certificate: files and runtimes agree\n\n- files agree.*\n- runtimes agree.*\n- quality was not/,
  );
  expect(page.match(/a \\\| note/g)).toHaveLength(1);
  expect(page).toContain("- gptq, gguf: a \\| note");
  expect(page.match(/^\| (compressed-tensors|gptq|gguf) \|/gm)).toHaveLength(3);
  // A column that says nothing is not there.
  expect(page).not.toContain("rounded as asked");
  expect(page).toContain("| 99.0 % | 1.20000 |");
  expect(page).not.toMatch(/60\.000|50\.000/);
});
