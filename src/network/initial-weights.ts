import { createHash } from "node:crypto";
import { SeededRandom } from "../calibration/seeded-random.js";
import { byteLengthOf, type SafetensorsDType } from "../checkpoint/dtype.js";
import { type ModelConfig, optionalNumber, optionalString } from "../checkpoint/model-config.js";
import type { ReadBuffer } from "../checkpoint/read-buffer.js";
import type { FolderWeights, TensorInfo } from "../checkpoint/tensor-reader.js";
import { CheckpointError } from "../errors.js";
import { noGrad, numbersIn, scope, Tensor } from "../tensor/index.js";
import { networkTensors } from "./decoder/spec/network-tensors.js";
import { readSpec } from "./decoder/spec/read-spec.js";
import { floatType } from "./load-tensor.js";

/** In place of a file's name, for messages. */
const FILE = "random weights";
/** Standard deviation of transformers' configurations where theirs do not say. */
const SPREAD = 0.02;

const stored: Readonly<Record<string, SafetensorsDType>> = { bfloat16: "BF16", float16: "F16", float32: "F32" };

/**
 * The weights of a model that was never trained, as transformers makes them: normal numbers of the deviation
 * `initializer_range`, gains of 1, biases of 0, in the dtype that `config.json` names. Each follows from the seed and its
 * name alone, so that they are the same on every machine and in every order. One tensor is kept at a time.
 */
export class InitialWeights implements FolderWeights {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #spread: number;
  #last: { readonly name: string; readonly bytes: Uint8Array } | null = null;

  /**
   * @param folder that of `config.json` and the tokenizer
   * @throws ModelError for a network that is not computed
   */
  constructor(
    readonly folder: string,
    config: ModelConfig,
    private readonly seed: number,
  ) {
    const dtype = stored[optionalString(config, "dtype") ?? optionalString(config, "torch_dtype") ?? ""] ?? "F32";
    this.#spread = optionalNumber(config, "initializer_range") ?? SPREAD;
    this.tensors = new Map(
      [...networkTensors(readSpec(config))].map(([name, shape]) => [
        name,
        { name, dtype, shape, file: FILE, byteLength: byteLengthOf(dtype, shape) ?? 0 },
      ]),
    );
  }

  async read(name: string): Promise<Uint8Array> {
    return this.readSync(name);
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    const bytes = this.#made(name);
    const copy = buffer?.take(bytes.byteLength, (length) => new Uint8Array(length)) ?? new Uint8Array(bytes.byteLength);
    copy.set(bytes);
    return copy;
  }

  readRangeSync(name: string, begin: number, end: number): Uint8Array {
    return this.#made(name).slice(begin, end);
  }

  willRead(): void {}

  close(): void {
    this.#last = null;
  }

  #made(name: string): Uint8Array {
    if (this.#last?.name === name) return this.#last.bytes;
    const info = this.tensors.get(name);
    if (info === undefined) {
      throw new CheckpointError({
        where: this.folder,
        what: `the network of config.json has no tensor ${JSON.stringify(name)}`,
        next: "check the sizes in config.json",
      });
    }
    const values = valuesOf(info, this.#spread, this.seed);
    const dtype = floatType(info.dtype) ?? "float32";
    const bytes = noGrad(() => scope(() => Tensor.from(values, info.shape).to(dtype).toBytes()));
    this.#last = { name, bytes };
    return bytes;
  }
}

// Of one dimension are gains and biases alone.
function valuesOf({ name, shape }: TensorInfo, spread: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(numbersIn(shape));
  if (shape.length === 1) return values.fill(name.endsWith(".bias") ? 0 : 1);
  const hash = createHash("sha256").update(`${seed} ${name}`).digest();
  const random = new SeededRandom(hash.readUInt32LE(0) * 2 ** 21 + (hash.readUInt32LE(4) >>> 11));
  // Two at a time. Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
  for (let i = 0; i < values.length; i += 2) {
    const length = spread * Math.sqrt(-2 * Math.log((random.uint32() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * random.uint32()) / 2 ** 32;
    values[i] = length * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = length * Math.sin(angle);
  }
  return values;
}
