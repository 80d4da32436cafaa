import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import { type DecoderSpec, decoderUnits, families, type LayerPlan } from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";
import type { BiasedLinears, MlxFamily } from "./families.js";

const PARTS: Readonly<Record<string, BiasedLinears>> = {
  ...{ q: "qkv", k: "qkv", v: "qkv", o: "out", gate: "mlp", up: "mlp", down: "mlp" },
};

/**
 * A result with what mlx-lm's model of a family has and the network does without: biases, which are zero, and an output matrix that
 * is the embedding.
 */
export function withAddedTensors(source: ExportSource, spec: DecoderSpec, family: MlxFamily): ExportSource {
  const zeros = new Map(missingBiases(spec, family).map(({ module, rows }) => [`${module}.bias`, rows]));
  const embedding = source.plain.get(`${spec.names.embedding}.weight`);
  const copied = spec.tied && family.head === "own" && embedding !== undefined;
  if (zeros.size === 0 && !copied) return source;
  const head = `${spec.names.head}.weight`;
  // In the type of the stream, so that nothing is computed in a wider one.
  const like = embedding ?? [...source.plain.values()][0];
  const plain = new Map<string, TensorInfo>(source.plain);
  if (like !== undefined) {
    const size = like.byteLength / like.shape.reduce((product, each) => product * each, 1);
    for (const [name, rows] of zeros) plain.set(name, { ...like, name, shape: [rows], byteLength: rows * size });
  }
  if (copied) plain.set(head, { ...embedding, name: head });
  return {
    ...source,
    plain,
    async readPlain(name) {
      if (zeros.has(name)) return new Uint8Array(plain.get(name)?.byteLength ?? 0);
      return source.readPlain(copied && name === head ? embedding.name : name);
    },
  };
}

function missingBiases(spec: DecoderSpec, { withBias = [] }: MlxFamily): readonly LayerPlan[] {
  const layers = decoderUnits(spec).flatMap((unit) => unit.layers);
  const any = (part: BiasedLinears): boolean => layers.some(({ name, bias }) => bias && PARTS[name] === part);
  const needed = new Set(withBias);
  // One key speaks of all biases of attention, and mlx-lm makes what it speaks of.
  const softmax = spec.blocks.some(({ attention }) => attention.kind === "softmax");
  if (softmax && oneKey(spec.family) && any("qkv") !== any("out")) {
    needed.add("qkv");
    needed.add("out");
  }
  return layers.filter(({ name, bias }) => {
    const part = PARTS[name];
    return !bias && part !== undefined && needed.has(part);
  });
}

function oneKey(modelType: string): boolean {
  const { qkvBias, outBias } = families.get(modelType)?.attention ?? { qkvBias: false, outBias: false };
  return typeof qkvBias === "object" && typeof outBias === "object" && qkvBias.key === outBias.key;
}
