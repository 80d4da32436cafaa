/** A tokenizer of which some part would give other ids here than in the Rust library, which trained the model's vocabulary. */
export class UnsupportedTokenizer extends Error {
  /** What can be done about it. */
  readonly next: string;

  constructor(message: string, next = "use a model with another tokenizer, or report this one") {
    super(message);
    this.next = next;
  }
}
