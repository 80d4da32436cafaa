/** What `eval`, `generate` and their functions take where nothing is given. */
export const evaluationDefaults = {
  /** Between context and choice that have no white space there. */
  delimiter: " ",
  /** Most tokens that continue a text. */
  tokens: 64,
  /** Most tokens of an answer. */
  answerTokens: 512,
  /** 0 takes the most likely token. */
  temperature: 0,
  /** Of the sampling. */
  seed: 0,
  device: "auto",
  /** Arithmetic of the matrix products. */
  dtype: "float32",
} as const;
