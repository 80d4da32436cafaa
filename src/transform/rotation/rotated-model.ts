import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { type DecoderSpec, decoderUnits, floatType, loadTensor, normOf, siteOf } from "../../network/index.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { Rotation } from "./rotation.js";

/** Elements of a tensor that are worked on at once, in fp32. */
const PIECE = 2 ** 24;

/** How a tensor changes: in pieces along `dim` whose lengths are multiples of `unit`. */
interface Change {
  /** The tensor of the source that it is made from. */
  readonly from: string;
  readonly dim: 0 | 1;
  readonly unit: number;
  readonly apply: (piece: Tensor) => Tensor;
}

/**
 * A model that computes the same with its hidden states rotated: `x R` in place of x between the blocks, and the values of
 * each head likewise. The gains of the norms, which see single channels, go into the Linears behind them and become 1, so
 * a tied head becomes a tensor of its own. Tensors keep their source's dtype; each is computed when it is read, in pieces.
 * Sources: QuaRot (arXiv 2404.00456), section 4, stages 1a and 1b without the parts that are computed at run time;
 * SpinQuant (arXiv 2405.16406), R1 and R2.
 */
export class RotatedModel implements TensorReader, Disposable {
  readonly spec: DecoderSpec;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #hidden: Rotation;
  readonly #head: Rotation;
  readonly #changes: ReadonlyMap<string, Change>;

  /** @param spec that of `source`, with RMS norms and rotary positions */
  constructor(
    private readonly source: TensorReader,
    spec: DecoderSpec,
    seed: number,
  ) {
    this.#hidden = new Rotation(spec.hiddenSize, seed);
    this.#head = new Rotation(spec.attention.headDim, seed);
    this.#changes = this.#changesOf(spec);
    this.spec = { ...spec, tied: false };
    const head = `${spec.names.head}.weight`;
    const stored = source.tensors.get(this.#changes.get(head)?.from ?? head);
    this.tensors = new Map([
      ...source.tensors,
      ...(stored === undefined ? [] : [[head, { ...stored, name: head }] as const]),
    ]);
  }

  get folder(): string {
    return this.source.folder;
  }

  /** Names of the tensors that are not the source's. */
  get changed(): readonly string[] {
    return [...this.#changes.keys()];
  }

  async read(name: string): Promise<Uint8Array> {
    return this.#changes.has(name) ? this.readSync(name) : this.source.read(name);
  }

  willRead(names: Iterable<string>): void {
    this.source.willRead(Array.from(names, (name) => this.#changes.get(name)?.from ?? name));
  }

  readSync(name: string, buffer?: ReadBuffer): Uint8Array {
    const change = this.#changes.get(name);
    const info = change === undefined ? undefined : this.source.tensors.get(change.from);
    const dtype = info === undefined ? undefined : floatType(info.dtype);
    // What can't be rotated is for its reader to refuse.
    if (change === undefined || info === undefined || dtype === undefined) return this.source.readSync(name, buffer);
    return noGrad(() =>
      scope(() => {
        const from = loadTensor(this.source, change.from, info.shape, { device: "cpu", dtype });
        try {
          const bytes = new Uint8Array(info.byteLength);
          const to = Tensor.fromBytes(bytes, info.shape, dtype);
          const length = from.size(change.dim);
          const step = Math.max(1, Math.floor((PIECE * length) / from.numel / change.unit)) * change.unit;
          for (let first = 0; first < length; first += step) {
            const size = Math.min(step, length - first);
            scope(() => {
              const piece = from.narrow(change.dim, first, size).to("float32");
              to.narrow(change.dim, first, size).copy_(change.apply(piece));
            });
          }
          return bytes;
        } finally {
          from.dispose();
        }
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#hidden[Symbol.dispose]();
    this.#head[Symbol.dispose]();
  }

  #changesOf(spec: DecoderSpec): Map<string, Change> {
    const { names } = spec;
    const changes = new Map<string, Change>();
    const set = (name: string, apply: Change["apply"], more: Partial<Change> = {}): void => {
      const change = { from: name, dim: 0, unit: 1, apply, ...more } as const;
      if (this.source.tensors.has(change.from)) changes.set(name, change);
    };
    const ones = (piece: Tensor): Tensor => Tensor.ones(piece.shape);
    const gained = (norm: string) => (piece: Tensor) => this.#hidden.rows(piece.mul(this.#gains(norm, spec)));
    set(`${names.embedding}.weight`, (piece) => this.#hidden.rows(piece));
    const head = `${spec.tied ? names.embedding : names.head}.weight`;
    set(`${names.head}.weight`, gained(names.finalNorm), { from: head });
    set(`${names.finalNorm}.weight`, ones);
    for (const unit of decoderUnits(spec)) {
      for (const { producer } of unit.sites) {
        if (producer?.kind === "norm") set(`${normOf(unit, producer.name).module}.weight`, ones);
      }
      for (const layer of unit.layers) {
        const reads = siteOf(unit, layer.name);
        const makes = unit.sites.find(({ producer }) => producer?.kind === "layer" && producer.name === layer.name);
        const [readsHeads, makesHeads] = [reads.passes.kind === "heads", makes?.passes.kind === "heads"];
        const steps: Change["apply"][] = [];
        if (reads.producer?.kind === "norm") steps.push(gained(normOf(unit, reads.producer.name).module));
        if (readsHeads) steps.push((piece) => this.#head.headsOfRows(piece));
        if (makesHeads) steps.push((piece) => this.#head.headsOfColumns(piece));
        if (layer.addsTo !== null) steps.push((piece) => this.#hidden.columns(piece));
        set(`${layer.module}.weight`, (piece) => steps.reduce((turned, step) => step(turned), piece), {
          dim: layer.addsTo === null ? 0 : 1,
          unit: readsHeads || makesHeads ? spec.attention.headDim : 1,
        });
        const bias = `${layer.module}.bias`;
        const turnBias = (turn: Change["apply"], unit: number): void =>
          set(bias, (piece) => turn(piece.unsqueeze(0)).squeeze(0), { unit });
        if (layer.addsTo !== null) turnBias((piece) => this.#hidden.rows(piece), spec.hiddenSize);
        else if (makesHeads) turnBias((piece) => this.#head.headsOfRows(piece), spec.attention.headDim);
      }
    }
    return changes;
  }

  #gains(norm: string, { hiddenSize }: DecoderSpec): Tensor {
    const gains = loadTensor(this.source, `${norm}.weight`, [hiddenSize], { device: "cpu", dtype: "float32" });
    try {
      return gains.clone();
    } finally {
      gains.dispose();
    }
  }
}
