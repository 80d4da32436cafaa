import type { Draws, GrowingSequences, SequenceSampler } from "../calibration/self-generated/sequence-sampler.js";
import { type BlockCache, type Decoder, tokenIds } from "../network/index.js";
import { noGrad, scope, Tensor } from "../tensor/index.js";
import { notFinite } from "./not-finite.js";

/**
 * A network in memory that continues many sequences at once, with key-value caches. Probabilities are summed in float64 in the
 * order of the ids, so that a place in a distribution is the same token on every device, as far as the logits are the same.
 */
export class DecoderSampler implements SequenceSampler {
  /** @param limit ids from here on are never drawn: rows that pad the embedding */
  constructor(
    private readonly decoder: Decoder,
    private readonly limit: number = decoder.spec.vocabSize,
  ) {}

  begin(rows: number): GrowingSequences {
    return new DecoderSequences(this.decoder, rows, this.limit);
  }
}

class DecoderSequences implements GrowingSequences {
  readonly #caches: readonly BlockCache[];

  constructor(
    private readonly decoder: Decoder,
    private readonly rows: number,
    private readonly limit: number,
  ) {
    this.#caches = decoder.caches();
  }

  next(tokens: Int32Array, draws: Draws | null): Int32Array {
    const { decoder, rows, limit } = this;
    const chosen = noGrad(() =>
      scope(() => {
        const ids = tokenIds(decoder.spec, tokens, [rows, 1], decoder.device);
        const all = decoder.logits(ids, { caches: this.#caches, lastOnly: true });
        const logits = all
          .reshape([rows, all.size(2)])
          .narrow(1, 0, limit)
          .to("float64");
        const places = draws === null ? logits.argmax(-1).to("float64") : placesIn(logits, draws);
        // A row with a logit that is no number becomes NaN.
        return places.add(logits.sum([-1]).mul(0)).toArray() as Float64Array;
      }),
    );
    if (chosen.some(Number.isNaN)) throw notFinite("the logits", "text that the model generates");
    return Int32Array.from(chosen);
  }

  [Symbol.dispose](): void {
    for (const cache of this.#caches) cache.dispose();
  }
}

// Tokens whose probability, with all before them, reaches each place.
function placesIn(logits: Tensor, { temperature, places }: Draws): Tensor {
  // The largest is 0, whatever the temperature: two infinities would have no difference.
  const sums = logits.sub(logits.amax(-1).unsqueeze(-1)).div(temperature).softmax(-1).cumsum(-1);
  const last = sums.size(1) - 1;
  const wanted = Tensor.from(places, [places.length, 1])
    .to(logits.device)
    .mul(sums.narrow(1, last, 1));
  return sums.lt(wanted).to("float64").sum([-1]).clamp(0, last);
}
