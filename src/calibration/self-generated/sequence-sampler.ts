/** Where in the distribution of the next token each sequence draws. */
export interface Draws {
  /** What logits are divided by: below 1 likely tokens become likelier. */
  readonly temperature: number;
  /** A number above 0 and below 1 for each sequence: the share of the probability that lies before the token. */
  readonly places: Float64Array<ArrayBuffer>;
}

/** Sequences that grow together, a token each at a time. */
export interface GrowingSequences extends Disposable {
  /**
   * Reads one more token of every sequence and gives the one behind it: drawn, or the likeliest where `draws` is null.
   *
   * @throws ModelError where the model's probabilities are no numbers
   */
  next(tokens: Int32Array, draws: Draws | null): Int32Array;
}

/** A language model that continues sequences, as far as generating text needs it. What it draws depends on `Draws` alone. */
export interface SequenceSampler {
  /** Begins `rows` empty sequences. */
  begin(rows: number): GrowingSequences;
}
