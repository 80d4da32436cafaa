import { SecondMoments } from "../../quant/second-moments.js";
import { type Device, groupSizes, noGrad, type RowGroups, scope, Tensor } from "../../tensor/index.js";

/** Second moments of a Linear's inputs: one, or of a stack of experts one for each. */
export type InputMoments = readonly SecondMoments[];

/** Takes inputs of a Linear, `[part.length, positions, in]`, of a stack of experts `[rows, in]` with the experts of the rows. */
export type RowsObserver = (layer: string, rows: Tensor, groups?: RowGroups) => void;

interface Sum {
  readonly moments: SecondMoments;
  /** How many sequences, from the first on, it holds. */
  counted: number;
}

interface Seen {
  readonly input: Tensor;
  readonly groups: RowGroups | undefined;
}

/**
 * Second moments of the inputs of Linears over the calibration sequences, which come in parts and in order. When memory
 * runs out a part is run again in smaller ones; no sequence is counted twice.
 */
export class SiteMoments implements Disposable {
  readonly #sums = new Map<string, readonly Sum[]>();
  readonly #through: ReadonlySet<number>;

  /** @param through experts that count what all tokens give them (`Hooks.through`), in place of what is routed to them */
  constructor(
    private readonly device: Device,
    through: readonly number[] = [],
  ) {
    this.#through = new Set(through);
  }

  /** Those of the inputs `[in]` that `layer` was observed with; null where there are none. */
  of(layer: string): InputMoments | null {
    return this.#sums.get(layer)?.map(({ moments }) => moments) ?? null;
  }

  /**
   * Runs `work`, which hands the inputs `[part.length, positions, in]` of the Linears that count to its argument, of a stack of experts
   * their rows, and adds them up. The tensors must live until `work` returns, but for rows that are dropped.
   */
  during<T>(part: readonly number[], work: (observe: RowsObserver) => T): T {
    const inputs = new Map<string, Seen>();
    const passed: (readonly [Sum, SecondMoments])[] = [];
    try {
      const result = work((layer, input, groups) => {
        if (groups?.dropped === true) passed.push(...this.#passing(layer, input, groups, part));
        else inputs.set(layer, { input, groups });
      });
      // Not earlier: what runs out of memory usually does so in the block, and then nothing of the part is counted.
      for (const [layer, seen] of inputs) this.#count(layer, seen, part);
      for (const [sum, moments] of passed) {
        sum.moments.merge(moments);
        sum.counted = (part[0] ?? 0) + part.length;
      }
      return result;
    } finally {
      for (const [, moments] of passed) moments.dispose();
    }
  }

  /** Frees those of one Linear. */
  drop(layer: string): void {
    for (const { moments } of this.#sums.get(layer) ?? []) moments.dispose();
    this.#sums.delete(layer);
  }

  [Symbol.dispose](): void {
    for (const layer of [...this.#sums.keys()]) this.drop(layer);
  }

  #sumsOf(layer: string, columns: number, count: number): readonly Sum[] {
    const known = this.#sums.get(layer);
    if (known !== undefined) return known;
    const sums: Sum[] = [];
    // Before they are all there: memory may run out.
    this.#sums.set(layer, sums);
    for (let i = 0; i < count; i++) sums.push({ moments: new SecondMoments(columns, this.device), counted: 0 });
    return sums;
  }

  // What all tokens of a part give an expert, which is gone once the next expert is computed.
  #passing(
    layer: string,
    input: Tensor,
    groups: RowGroups,
    part: readonly number[],
  ): (readonly [Sum, SecondMoments])[] {
    const expert = noGrad(() => scope(() => groups.ids.select(0, 0).item()));
    const sum = this.#sumsOf(layer, input.size(-1), groups.count)[expert];
    const known = sum === undefined ? part.length : knownOf(sum, part);
    if (sum === undefined || known >= part.length) return [];
    const before = (known * input.size(0)) / part.length;
    const moments = new SecondMoments(input.size(-1), this.device);
    const pair = [sum, moments] as const;
    moments.add(input.narrow(0, before, input.size(0) - before));
    return [pair];
  }

  #count(layer: string, { input, groups }: Seen, part: readonly number[]): void {
    const sums = this.#sumsOf(layer, input.size(-1), groups?.count ?? 1);
    const [only] = sums;
    const after = (part[0] ?? 0) + part.length;
    if (groups !== undefined) {
      this.#countEach(sums, input, groups, part);
      return;
    }
    // Memory may run out between two Linears of a part, or behind them: the first then holds it already.
    const known = only === undefined ? part.length : knownOf(only, part);
    if (only === undefined || known >= part.length) return;
    only.moments.add(known === 0 ? input : input.narrow(0, known, part.length - known));
    only.counted = after;
  }

  #countEach(sums: readonly Sum[], input: Tensor, groups: RowGroups, part: readonly number[]): void {
    let first = 0;
    for (const [expert, size] of noGrad(() => scope(() => groupSizes(groups))).entries()) {
      const sum = sums[expert];
      const known = sum === undefined ? part.length : knownOf(sum, part);
      if (sum !== undefined && known < part.length && !this.#through.has(expert)) {
        const begin = first;
        scope(() => {
          const rows = unknownRows(input.narrow(0, begin, size), groups, begin, known / part.length);
          if (rows.size(0) > 0) sum.moments.add(rows);
        });
        sum.counted = (part[0] ?? 0) + part.length;
      }
      first += size;
    }
  }
}

function knownOf({ counted }: Sum, part: readonly number[]): number {
  return Math.max(0, counted - (part[0] ?? 0));
}

// Rows of an expert, from `begin` on among all, without those of the first tokens, a share of all, that are counted already.
function unknownRows(rows: Tensor, { origins }: RowGroups, begin: number, share: number): Tensor {
  if (share === 0 || origins === undefined || rows.size(0) === 0) return rows;
  const counted = share * (origins.amax().item() + 1);
  const tokens = [...(origins.narrow(0, begin, rows.size(0)).toArray() as BigInt64Array)];
  const places = tokens.flatMap((token, i) => (Number(token) >= counted ? [BigInt(i)] : []));
  return rows.indexSelect(0, Tensor.from(BigInt64Array.from(places)).to(rows.device));
}
