import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { generate } from "../../evaluate/generation/generate.js";
import { checkpointSource, Decoder, type DecoderSpec, loadTensor, type TensorSource } from "../../network/index.js";
import { dequantize } from "../../quant/grid/grid.js";
import { resolveSchemes } from "../../recipe/job/layer-schemes.js";
import { nearestRule } from "../../recipe/solve/layer-rule.js";
import { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import { keep, noGrad, releaseCachedMemory, scope } from "../../tensor/index.js";
import type { SampleTexts } from "../result/result-details.js";
import { decodedTensor } from "../source/decoded-tensor.js";
import { SAMPLES } from "../source/scored-size.js";
import { samplePrompts } from "./sample-prompts.js";
import type { TextsToWrite } from "./write-texts.js";

/**
 * What source, result and round to nearest write behind the same prompts, the likeliest token each time.
 *
 * @param tell called with the networks that are done, and of how many
 */
export function sampleTexts(
  { source: job, spec: sourceSpec, quantized, results, tokenizer, nearest: roundToNearest }: TextsToWrite,
  tell: (done: number, total: number) => void,
): NonNullable<SampleTexts> {
  const { device, dtype } = job;
  const prompts = samplePrompts(tokenizer).filter(({ ids }) => ids.length + 1 < sourceSpec.maxPositions);
  const modules = new Set(job.network.units.flatMap(({ layers }) => layers.map(({ module }) => module)));
  const schemes = resolveSchemes(job.network.units, job.scheme, job.options.overrides, job.allocation);
  const plain = checkpointSource(job.checkpoint, { device, dtype });
  const moduleOf = (name: string): string => (name.endsWith(".weight") ? name.slice(0, -".weight".length) : "");
  const isCoded = (name: string): boolean =>
    modules.has(moduleOf(name)) && (schemes.get(moduleOf(name)) ?? null) !== null;
  const written: TensorSource = (name, shape) =>
    isCoded(name)
      ? decodedTensor(results.readLinear(moduleOf(name)), { device, dtype })
      : loadTensor(quantized.checkpoint, name, shape, { device, dtype }, results.readPlain(name));
  const rule = nearestRule(job.options);
  const nearest: TensorSource = (name, shape) => {
    const scheme = schemes.get(moduleOf(name));
    if (!isCoded(name) || scheme === null || scheme === undefined) return plain(name, shape);
    const exact = loadTensor(job.checkpoint, name, shape, { device, dtype: "float32" });
    try {
      const layer = new QuantizedLayer(moduleOf(name), scheme, dtype);
      return keep(
        noGrad(() =>
          scope(() =>
            dequantize(rule.choose(exact, layer, null))
              .to(dtype)
              .contiguous(),
          ),
        ),
      );
    } finally {
      exact.dispose();
    }
  };
  const writers: readonly (readonly [TensorSource, DecoderSpec])[] = [
    [plain, sourceSpec],
    [written, quantized.spec],
    ...(roundToNearest ? [[nearest, sourceSpec] as const] : []),
  ];
  const texts = writers.map(([weights, spec], i) => {
    tell(i, writers.length);
    releaseCachedMemory();
    const decoder = Decoder.load((name, shape) => {
      job.poll();
      return weights(name, shape);
    }, spec);
    try {
      return prompts.map(({ ids }) => continued(decoder, ids, tokenizer, job.poll));
    } finally {
      decoder.dispose();
    }
  });
  tell(writers.length, writers.length);
  return prompts.map(({ shown }, i) => ({
    prompt: shown,
    source: texts[0]?.[i] ?? "",
    result: texts[1]?.[i] ?? "",
    roundToNearest: texts[2]?.[i] ?? null,
  }));
}

function continued(decoder: Decoder, ids: Int32Array, tokenizer: Tokenizer, poll: () => void): string {
  const tokens: number[] = [];
  for (const token of generate(decoder, ids, { tokens: SAMPLES.tokens, stop: new Set(tokenizer.eosTokens) })) {
    poll();
    tokens.push(token);
  }
  // Decoded behind the prompt, because a tokenizer may treat the beginning of a text apart.
  const before = tokenizer.decode(ids, { skipSpecialTokens: true });
  return tokenizer.decode([...ids, ...tokens], { skipSpecialTokens: true }).slice(before.length);
}
