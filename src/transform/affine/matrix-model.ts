import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { type DecoderSpec, decoderUnits, floatType, specWithNormMatrices } from "../../network/index.js";
import { elementSize, noGrad, scope, Tensor } from "../../tensor/index.js";
import { diagonalMatrix } from "./inverse.js";

/**
 * A model with a matrix behind each norm of its blocks, the identity, so that it computes the same: what a transform then finds
 * takes the place of the identity. Matrices have the dtype of their norm's gains.
 */
export class MatrixModel implements TensorReader {
  readonly spec: DecoderSpec;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #made = new Map<string, TensorInfo>();

  constructor(
    private readonly source: TensorReader,
    spec: DecoderSpec,
  ) {
    this.spec = specWithNormMatrices(spec);
    for (const { module, width, matrix } of decoderUnits(this.spec).flatMap(({ norms }) => norms)) {
      const gains = source.tensors.get(`${module}.weight`);
      if (matrix === undefined || gains === undefined) continue;
      const size = elementSize(floatType(gains.dtype) ?? "float32");
      this.#made.set(matrix, { ...gains, name: matrix, shape: [width, width], byteLength: width * width * size });
    }
    this.tensors = new Map([...source.tensors, ...this.#made]);
  }

  get folder(): string {
    return this.source.folder;
  }

  /** Names of the matrices. */
  get changed(): readonly string[] {
    return [...this.#made.keys()];
  }

  async read(name: string): Promise<Uint8Array> {
    return this.#identity(name) ?? this.source.read(name);
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    return this.#identity(name) ?? this.source.readSync(name, buffer);
  }

  willRead(names: Iterable<string>): void {
    this.source.willRead([...names].filter((name) => !this.#made.has(name)));
  }

  #identity(name: string): Uint8Array | null {
    const info = this.#made.get(name);
    if (info === undefined) return null;
    const [width = 0] = info.shape;
    return noGrad(() =>
      scope(() =>
        diagonalMatrix(Tensor.ones([width]))
          .to(floatType(info.dtype) ?? "float32")
          .toBytes(),
      ),
    );
  }
}
