import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { Certificate, QuantizeEvent, VerifyEvent, WarningEvent, WorkEvent } from "../../src/index.js";
import { deeperModel, type TinyModel, tinyModel, writeTinyModel } from "../../src/network/testing/tiny-models.js";
import { eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { library } from "../fixtures/in-process/library.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

const { inspect, loadModel, quantize, verifyResult } = library;

const narrow = deeperModel(tinyModel("llama"), 2, { vocabulary: 4096, positions: 256 });
/** Widened, so that groups of 32 columns divide every Linear. */
const llama: TinyModel = {
  ...narrow,
  config: { ...narrow.config, intermediate_size: 64 },
  tensors: Object.fromEntries(
    Object.entries(narrow.tensors).map(([name, shape]) => [name, shape.map((size) => (size === 24 ? 64 : size))]),
  ),
};
const q = "model.layers.0.self_attn.q_proj";

let place: Workplace;
beforeAll(() => {
  place = workplace();
});
afterAll(() => place[Symbol.dispose]());

/** A Llama of two blocks with more tensors than it reads; those in `infinite` hold -Inf, as saved masks do. */
async function modelWith(
  name: string,
  extra: TinyModel["tensors"],
  { infinite = [], config = {} }: { readonly infinite?: readonly string[]; readonly config?: object } = {},
): Promise<string> {
  const folder = join(place.folder, name);
  mkdirSync(folder);
  const model = { ...llama, config: { ...llama.config, ...config }, tensors: { ...llama.tensors, ...extra } };
  await writeTinyModel(folder, model, (tensor, values, shape) => {
    if (infinite.includes(tensor)) values.fill(Number.NEGATIVE_INFINITY);
    return shape;
  });
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(bundledModel, file), join(folder, file));
  return folder;
}

async function eventsOf(options: Parameters<typeof quantize>[0]): Promise<QuantizeEvent[]> {
  const events: QuantizeEvent[] = [];
  for await (const event of quantize(options)) events.push(event);
  return events;
}

function warningsOf(events: readonly { readonly event: string }[]): WarningEvent[] {
  return events.filter((event): event is WarningEvent => event.event === "warning");
}

const rtn = { scheme: "W4A16g32", recipe: "rtn" } as const;
const biases = Object.fromEntries(
  [0, 1].flatMap((block) =>
    ["q", "k", "v"].map((part) => {
      const name = `model.layers.${block}.self_attn.${part}_proj`;
      return [`${name}.bias`, [llama.tensors[`${name}.weight`]?.[0] ?? 0]];
    }),
  ),
);
const others = {
  "model.causal_mask": [8, 8],
  "model.layers.0.self_attn.rotary_emb.inv_freq": [4],
  "model.layers.2.eh_proj.weight": [32, 64],
  "model.layers.2.self_attn.q_proj.weight": [32, 32],
  "score.weight": [2, 32],
};
const leftOut = [...Object.keys(biases), ...Object.keys(others)];

describe("a model with tensors that nothing reads", () => {
  let model = "";
  let out = "";
  let events: QuantizeEvent[] = [];
  beforeAll(async () => {
    const config = { architectures: ["LlamaForSequenceClassification"] };
    model = await modelWith("left-out", { ...biases, ...others }, { infinite: ["model.causal_mask"], config });
    out = join(place.folder, "left-out-w4");
    events = await eventsOf({ model, ...rtn, out, format: ["gguf", "gptq", "onnx"] });
  });

  it("names each with its reason before the plan, and what is infinite once it was read", () => {
    const at = events.findIndex(({ event }) => event === "plan");
    const early = warningsOf(events.slice(0, at));
    expect(early.map(({ message }) => /\): (.{25})/.exec(message)?.[1])).toEqual(
      expect.arrayContaining(
        [
          "biases that config.json do",
          "heads for multi-token pred",
          "masks and positions, which",
          "rotary tables, which the n",
          "the head of LlamaForSequen",
        ].map((text) => text.slice(0, 25)),
      ),
    );
    const bias = early.find(({ next }) => next.includes('"attention_bias": true'));
    expect(bias?.message).toMatch(
      /^6 tensors .*\.0\.self_attn\.\w_proj\.bias, \S+, \S+ and 3 more\): .*; folders keep .*GGUF and ONNX leave/,
    );
    const late = warningsOf(events.slice(at));
    expect(late.map(({ message }) => message)).toEqual([
      expect.stringMatching(/infinite values in model\.causal_mask/),
    ]);
  });

  it("counts every tensor once, in the plan and in crossblock.json", async () => {
    const plan = events.find((event) => event.event === "plan");
    using checkpoint = await Checkpoint.open(model);
    const { quantized, computed, leftOut: groups } = plan?.tensors ?? { quantized: 0, computed: 0, leftOut: [] };
    expect(quantized).toBe(14);
    expect(groups.flatMap(({ tensors }) => tensors).toSorted()).toEqual(leftOut.toSorted());
    expect(quantized + computed + leftOut.length).toBe(checkpoint.tensors.size);
    const record = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8")) as {
      census: unknown;
      warnings: unknown[];
    };
    expect(record.census).toEqual(plan?.tensors);
    expect(record.warnings).toHaveLength(6);
  });

  it("is kept in folders, left out of GGUF and ONNX, and the certificate says so", async () => {
    for (const folder of [out, join(out, "gptq")]) {
      using written = await Checkpoint.open(folder);
      using source = await Checkpoint.open(model);
      for (const name of leftOut) expect(await written.read(name)).toEqual(await source.read(name));
    }
    const notes = events.flatMap((event) => (event.event === "exported" ? [[event.format, event.notes.join()]] : []));
    expect(Object.fromEntries(notes)).toMatchObject({
      gguf: expect.stringMatching(/GGUF leaves out what the network does not read: .* and 6 more/),
      onnx: expect.stringMatching(/ONNX leaves out what the network does not read/),
    });
    const seen: VerifyEvent[] = [];
    for await (const event of verifyResult({ result: out, runtimes: false })) seen.push(event);
    expect(seen.find(({ event }) => event === "certified")).toMatchObject({ agrees: true });
    const certificate = JSON.parse(readFileSync(join(out, "certificate.json"), "utf8")) as Certificate;
    const all = leftOut.length;
    expect(Object.fromEntries(certificate.exports.map(({ format, leftOut: of }) => [format, of]))).toEqual({
      "compressed-tensors": { kept: all, omitted: 0 },
      gptq: { kept: all, omitted: 0 },
      gguf: { kept: 0, omitted: all },
      onnx: { kept: 0, omitted: all },
    });
    const plain = Object.fromEntries(certificate.exports.map(({ format, untouched }) => [format, untouched.tensors]));
    expect(plain["compressed-tensors"]).toBe((plain["gguf"] ?? 0) + all);
    const named = certificate.census?.leftOut.flatMap(({ tensors }) => tensors) ?? [];
    expect(named.toSorted()).toEqual(leftOut.toSorted());
    const page = readFileSync(join(out, "certificate.md"), "utf8");
    expect(page).toMatch(/computes with 14 quantized Linears and 7 tensors as they are/);
    expect(page).toContain("score.weight");
    expect(page).toMatch(/^\| format .*\| not read by the network \|/m);
    expect(page).toMatch(new RegExp(`^\\| gguf .*\\| ${all} left out \\|`, "m"));
    expect(page).toMatch(new RegExp(`^\\| gptq .*\\| ${all} kept unchanged \\|`, "m"));
  });

  it("is told by inspect, of the model and of the result", async () => {
    for (const folder of [model, out, join(out, "gptq")]) {
      const { census } = await inspect(folder);
      expect(census?.leftOut.flatMap(({ tensors }) => tensors).toSorted()).toEqual(leftOut.toSorted());
      expect(census?.quantized).toBe(folder === model ? 0 : 14);
    }
    expect((await inspect(join(out, "onnx"))).census).toBeNull();
    const { events: lines } = await eventsHere(["inspect", model]);
    expect(lines.at(-1)).toMatchObject({ event: "inspection", census: { computed: 21 } });
  });

  it("is told by --dry-run, whose other tensors and reasons are the same", async () => {
    const dry = await eventsOf({ model, ...rtn, out: join(place.folder, "none"), dryRun: true });
    expect(warningsOf(dry)).toHaveLength(6);
    const tensors = (all: readonly QuantizeEvent[]): unknown => all.find((event) => event.event === "plan")?.tensors;
    expect(tensors(dry)).toEqual(tensors(events));
  });

  it("is told by eval as far as it may be missed", async () => {
    const seen: WorkEvent[] = [];
    await using _ = await loadModel(model, { device: "cpu", onEvent: (event) => void seen.push(event) });
    const messages = warningsOf(seen).map(({ message }) => message);
    expect(messages).toHaveLength(3);
    expect(messages.join()).not.toMatch(/causal_mask|inv_freq|GGUF/);
  });
});

describe("the next step for biases", () => {
  it("works: with the key they are read, in every format, though the output has none", async () => {
    const model = await modelWith("declared", biases, { config: { attention_bias: true } });
    const out = join(place.folder, "declared-w4");
    const events = await eventsOf({ model, ...rtn, out, format: ["gguf", "onnx"] });
    expect(warningsOf(events)).toEqual([]);
    expect(events.find((event) => event.event === "plan")?.tensors).toEqual({
      quantized: 14,
      computed: 13,
      leftOut: [],
    });
    for await (const event of verifyResult({ result: out, runtimes: false })) {
      if (event.event === "certified") expect(event.agrees).toBe(true);
    }
    const certificate = JSON.parse(readFileSync(join(out, "certificate.json"), "utf8")) as Certificate;
    for (const { tensors } of certificate.exports) {
      const of = (name: string): boolean => tensors.some(({ source }) => source === name);
      expect([of(`${q}.bias`), of("model.layers.0.self_attn.o_proj.bias")]).toEqual([true, false]);
    }
    const ids = [[1, 2, 3, 4]];
    const logits = async (folder: string): Promise<Float32Array> => {
      await using loaded = await loadModel(folder, { device: "cpu" });
      return (await loaded.logits(ids)).data;
    };
    const without = await modelWith("undeclared", biases);
    expect(await logits(model)).not.toEqual(await logits(without));
    expect((await logits(out)).every(Number.isFinite)).toBe(true);
  });
});

describe("values that are not finite", () => {
  it("are refused where the network reads them", async () => {
    const model = await modelWith("poisoned", {}, { infinite: [`${q}.weight`] });
    const run = eventsOf({ model, ...rtn, out: join(place.folder, "poisoned-w4") });
    await expect(run).rejects.toThrow(/q_proj\.weight": holds NaN or infinite values/);
  });

  it("are no error in a vector, a matrix or a cube that it does not read", async () => {
    const extra = { "model.mask": [4], "v_head.summary.weight": [1, 32], "model.attn_mask": [2, 2, 2] };
    const model = await modelWith("infinite", extra, { infinite: Object.keys(extra) });
    const events = await eventsOf({ model, ...rtn, out: join(place.folder, "infinite-w4") });
    const [last] = warningsOf(events).slice(-1);
    for (const name of Object.keys(extra)) expect(last?.message).toContain(name);
    expect(events.at(-1)?.event).toBe("done");
  });
});

describe("before the plan", () => {
  const dryRun = (model: string): Promise<QuantizeEvent[]> =>
    eventsOf({ model, ...rtn, out: join(place.folder, "none"), dryRun: true });

  it("a weight that is missing is refused, with what is there in its place", async () => {
    const { "model.norm.weight": norm = [], ...rest } = llama.tensors;
    const folder = join(place.folder, "prefixed");
    mkdirSync(folder);
    await writeTinyModel(folder, { ...llama, tensors: { ...rest, "model.model.norm.weight": norm } });
    await expect(dryRun(folder)).rejects.toThrow(/has "model\.model\.norm\.weight".*Next: save the model again/);
  });

  it("a tokenizer that is missing is told where no text is read, which would tell it", async () => {
    const folder = join(place.folder, "no-tokenizer");
    mkdirSync(folder);
    await writeTinyModel(folder, llama);
    const [warning, ...more] = warningsOf(await dryRun(folder));
    expect(more).toEqual([]);
    expect(warning).toMatchObject({
      message: expect.stringMatching(/no tokenizer\.json/),
      next: expect.stringMatching(/^download/),
    });
  });

  it("a quantized model is refused by its method", async () => {
    const model = await modelWith("aqlm", {}, { config: { quantization_config: { quant_method: "aqlm", bits: 4 } } });
    await expect(dryRun(model)).rejects.toThrow(
      /quantized already \(aqlm, 4 bits\).*Next: give the folder of the unquantized/,
    );
    expect((await inspect(model)).census).toBeNull();
    await expect(loadModel(model, { device: "cpu" })).rejects.toThrow(/aqlm, 4 bits/);
    const none = await modelWith("not-quantized", {}, { config: { quantization_config: null } });
    expect((await dryRun(none)).at(-1)?.event).toBe("done");
  });

  it("a head that a rotated network no longer fits is said to be so", async () => {
    const model = await modelWith("rotated", { "score.weight": [2, 32], "model.causal_mask": [4, 4] });
    const options = {
      model,
      scheme: "W4A4g32",
      recipe: "rtn",
      rotation: "hadamard",
      dryRun: true,
      samples: 2,
    } as const;
    const events = await eventsOf({ ...options, calibration: [place.text], out: join(place.folder, "none") });
    const messages = warningsOf(events).map(({ message }) => message);
    expect(messages.find((message) => message.includes("score"))).toContain("unfit for the rotated network");
    expect(messages.find((message) => message.includes("causal_mask"))).not.toContain("unfit");
  });
});
