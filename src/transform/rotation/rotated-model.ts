import type { ReadBuffer } from "../../checkpoint/read-buffer.js";
import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import {
  type DecoderSpec,
  decoderUnits,
  floatType,
  loadTensor,
  normOf,
  type Passage,
  siteOf,
} from "../../network/index.js";
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
  /** By the width of a head. */
  readonly #heads: ReadonlyMap<number, Rotation>;
  readonly #changes: ReadonlyMap<string, Change>;

  /** @param spec that of `source`, which `rotationObstacle` lets pass */
  constructor(
    private readonly source: TensorReader,
    spec: DecoderSpec,
    seed: number,
  ) {
    this.#hidden = new Rotation(spec.hiddenSize, seed);
    this.#heads = new Map([...headWidths(spec)].map((width) => [width, new Rotation(width, seed)]));
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
    for (const head of this.#heads.values()) head[Symbol.dispose]();
  }

  #changesOf(spec: DecoderSpec): Map<string, Change> {
    const { names } = spec;
    const changes = new Map<string, Change>();
    const set = (name: string, apply: Change["apply"], more: Partial<Change> = {}): void => {
      const change = { from: name, dim: 0, unit: 1, apply, ...more } as const;
      if (this.source.tensors.has(change.from)) changes.set(name, change);
    };
    // Gains of one as they are stored: as ones, or less one.
    const plain =
      (offset: 0 | 1) =>
      (piece: Tensor): Tensor =>
        Tensor.full(piece.shape, 1 - offset);
    const gained = (norm: string, offset: 0 | 1) => (piece: Tensor) =>
      this.#hidden.rows(piece.mul(this.#gains(norm, offset, spec)));
    const finalOffset = spec.finalNorm.gain === "1+w" ? 1 : 0;
    set(`${names.embedding}.weight`, (piece) => this.#hidden.rows(piece));
    const head = `${spec.tied ? names.embedding : names.head}.weight`;
    set(`${names.head}.weight`, gained(names.finalNorm, finalOffset), { from: head });
    set(`${names.finalNorm}.weight`, plain(finalOffset));
    for (const unit of decoderUnits(spec)) {
      for (const { producer } of unit.sites) {
        if (producer?.kind !== "norm") continue;
        const { module, gain } = normOf(unit, producer.name);
        if (streamNorms.has(producer.name)) set(`${module}.weight`, plain(gain === "1+w" ? 1 : 0));
      }
      for (const layer of unit.layers) {
        const reads = siteOf(unit, layer.name);
        const makes = unit.sites.find(({ producer }) => producer?.kind === "layer" && producer.name === layer.name);
        const [readsHeads, makesHeads] = [mixedHeads(reads.passes), mixedHeads(makes?.passes)];
        const head = this.#heads.get(readsHeads ?? makesHeads ?? 0);
        const steps: Change["apply"][] = [];
        if (reads.producer?.kind === "norm" && streamNorms.has(reads.producer.name)) {
          const { module, gain } = normOf(unit, reads.producer.name);
          steps.push(gained(module, gain === "1+w" ? 1 : 0));
        }
        if (readsHeads !== null && head !== undefined) steps.push((piece) => head.headsOfRows(piece));
        if (makesHeads !== null && head !== undefined) steps.push((piece) => head.headsOfColumns(piece));
        if (layer.addsTo !== null) steps.push((piece) => this.#hidden.columns(piece));
        set(`${layer.module}.weight`, (piece) => steps.reduce((turned, step) => step(turned), piece), {
          dim: layer.addsTo === null ? 0 : 1,
          unit: readsHeads ?? makesHeads ?? 1,
        });
        const bias = `${layer.module}.bias`;
        const turnBias = (turn: Change["apply"], unit: number): void =>
          set(bias, (piece) => turn(piece.unsqueeze(0)).squeeze(0), { unit });
        if (layer.addsTo !== null) turnBias((piece) => this.#hidden.rows(piece), spec.hiddenSize);
        else if (makesHeads !== null && head !== undefined) turnBias((piece) => head.headsOfRows(piece), makesHeads);
      }
    }
    return changes;
  }

  #gains(norm: string, offset: 0 | 1, { hiddenSize }: DecoderSpec): Tensor {
    const gains = loadTensor(this.source, `${norm}.weight`, [hiddenSize], { device: "cpu", dtype: "float32" });
    try {
      return gains.add(offset);
    } finally {
      gains.dispose();
    }
  }
}

/** Norms whose inputs are rotated; others stand behind a Linear. */
const streamNorms: ReadonlySet<string> = new Set(["attentionNorm", "mlpNorm"]);

/** The width of heads whose channels a site lets mix; null for others. */
function mixedHeads(passes: Passage | undefined): number | null {
  return passes?.kind === "heads" && passes.mixes ? passes.width : null;
}

function headWidths(spec: DecoderSpec): ReadonlySet<number> {
  const widths = decoderUnits(spec).flatMap(({ sites }) => sites.map(({ passes }) => mixedHeads(passes)));
  return new Set(widths.filter((width) => width !== null));
}
