/** llama.cpp with one GGUF file loaded: a reader of what crossblock writes that knows nothing of crossblock. */
export interface LlamaCpp extends AsyncDisposable {
  /** Ids of a text, without the tokens that llama.cpp would put around it. */
  tokenize(text: string, specialTokens?: boolean): number[];
  /** Logits `[tokens, vocabulary]` after each of the tokens. */
  logits(tokens: readonly number[], vocabulary: number): Promise<Float32Array>;
  /** Most likely continuation of some tokens, without them. */
  generate(tokens: readonly number[], count: number): Promise<number[]>;
}

/** The part of node-llama-cpp 3 that is used: the package itself need not be installed. */
export interface LlamaCppPackage {
  getLlama(options: { build: "never"; gpu: false; logLevel: string; maxThreads: number }): Promise<Llama>;
}

interface Llama {
  loadModel(options: { modelPath: string; vocabOnly: boolean }): Promise<Model>;
  dispose(): Promise<void>;
}

interface Model {
  tokenize(text: string, specialTokens: boolean): readonly number[];
  createContext(options: { contextSize: number; batchSize: number }): Promise<Context>;
}

interface Context {
  getSequence(): Sequence;
  dispose(): Promise<void>;
}

type InputToken = readonly [token: number, options: { generateNext: { logits: true } }];

interface Sequence {
  controlledEvaluate(
    input: readonly InputToken[],
  ): Promise<readonly ({ next: { logits?: ReadonlyMap<number, number> } } | undefined)[]>;
  evaluate(tokens: number[], options: { temperature: number }): AsyncIterable<number>;
}

/** Opens a file on the CPU, where llama.cpp computes the same on every machine. */
export async function openLlamaCpp(
  { getLlama }: LlamaCppPackage,
  modelPath: string,
  { vocabOnly = false, threads = 2 }: { readonly vocabOnly?: boolean; readonly threads?: number } = {},
): Promise<LlamaCpp> {
  const llama = await getLlama({ build: "never", gpu: false, logLevel: "error", maxThreads: threads });
  const model = await llama.loadModel({ modelPath, vocabOnly });
  const inContext = async <T>(tokens: number, use: (sequence: Sequence) => Promise<T>): Promise<T> => {
    const context = await model.createContext({ contextSize: Math.max(256, tokens), batchSize: 512 });
    try {
      return await use(context.getSequence());
    } finally {
      await context.dispose();
    }
  };
  return {
    tokenize: (text, specialTokens = false) => [...model.tokenize(text, specialTokens)],
    logits: (tokens, vocabulary) =>
      inContext(tokens.length, async (sequence) => {
        const input = tokens.map((token) => [token, { generateNext: { logits: true } }] as const);
        const logits = new Float32Array(tokens.length * vocabulary).fill(Number.NaN);
        for (const [i, result] of (await sequence.controlledEvaluate(input)).entries()) {
          for (const [token, logit] of result?.next.logits ?? []) logits[i * vocabulary + token] = logit;
        }
        return logits;
      }),
    generate: (tokens, count) =>
      inContext(tokens.length + count, async (sequence) => {
        const generated: number[] = [];
        for await (const token of sequence.evaluate([...tokens], { temperature: 0 })) {
          generated.push(token);
          if (generated.length === count) break;
        }
        return generated;
      }),
    async [Symbol.asyncDispose]() {
      await llama.dispose();
    },
  };
}
