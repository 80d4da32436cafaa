/** What a runtime is asked about one export. */
export interface RuntimeQuestion {
  readonly file: string;
  readonly tokens: readonly number[];
  readonly vocabulary: number;
  /** To be cut into tokens as well, by runtimes that have the tokenizer in their file. */
  readonly texts: readonly string[];
}

/** The same, as a process of its own needs it. */
export interface RuntimeRequest extends RuntimeQuestion {
  /** The package's entry file, for `import()`. */
  readonly entry: string;
  readonly threads: number;
}

export type RuntimeAnswer =
  | {
      /** `[tokens, vocabulary]` */
      readonly logits: Float32Array;
      /** Ids of each text; null where the file holds no tokenizer. */
      readonly ids: readonly (readonly number[])[] | null;
    }
  | { readonly error: string };
