import { SeededRandom } from "../../calibration/seeded-random.js";

/** Which bits layers may get, and what comes of them. */
export interface BitProblem {
  /** Of every layer the bits that come into question, from few to many. */
  readonly widths: readonly (readonly number[])[];
  /** What is lost with these bits of all layers. */
  loss(bits: readonly number[]): number;
  /** What they cost: never more with fewer bits. */
  cost(bits: readonly number[]): number;
  readonly budget: number;
}

export interface GeneticOptions {
  readonly seed: number;
  readonly population?: number;
  /** Of these the children come, and they stay. */
  readonly elite?: number;
  /** Chance that a layer of a child gets other bits. */
  readonly mutation?: number;
  readonly generations?: number;
}

interface Candidate {
  readonly bits: readonly number[];
  readonly loss: number;
}

/** Children that are tried for each one that is wanted: above the budget most are refused. */
const TRIES = 30;

/**
 * Bits of every layer by a genetic search: children are crossed uniformly from two of the best, some of their layers change, and
 * those above the budget are refused. Where the loss is no sum over layers, because errors of layers in a block meet, no
 * multiplier finds the best bits.
 * Source: BRECQ (arXiv 2102.05426), section 3.4 and algorithm 2. The release has no code for it; the numbers are ours.
 *
 * @returns null where even the fewest bits are above the budget
 */
export function geneticBits(problem: BitProblem, options: GeneticOptions): readonly number[] | null {
  const { population = 50, elite = 10, mutation = 0.1, generations = 100, seed } = options;
  const random = new SeededRandom(seed);
  const fits = (bits: readonly number[]): boolean => problem.cost(bits) <= problem.budget;
  const least = problem.widths.map((widths) => widths[0] as number);
  if (!fits(least)) return null;
  const any = (widths: readonly number[]): number => widths[random.below(widths.length)] as number;
  const scored = (bits: readonly number[]): Candidate => ({ bits, loss: problem.loss(bits) });

  const first = [least, ...uniform(problem.widths).filter(fits)];
  while (first.length < population) first.push(lowered(problem.widths.map(any), problem.widths, fits, random));
  let all = best(first.map(scored), population);
  for (let generation = 0; generation < generations; generation++) {
    const parents = all.slice(0, elite);
    const children: Candidate[] = [];
    for (let tries = 0; children.length < population - elite && tries < TRIES * population; tries++) {
      const [a, b] = [parents[random.below(parents.length)], parents[random.below(parents.length)]] as [
        Candidate,
        Candidate,
      ];
      const bits = problem.widths.map((widths, i) => {
        if (share(random) < mutation) return any(widths);
        return (share(random) < 0.5 ? a : b).bits[i] as number;
      });
      if (fits(bits)) children.push(scored(bits));
    }
    all = best([...parents, ...children], population);
  }
  return all[0]?.bits ?? least;
}

/** Assignments that give all layers the same bits, or the nearest that they may have. */
function uniform(widths: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const all = [...new Set(widths.flat())].sort((a, b) => a - b);
  return all.map((bits) => widths.map((own) => own.findLast((width) => width <= bits) ?? (own[0] as number)));
}

/** One within the budget: random layers lose bits until it is. */
function lowered(
  start: readonly number[],
  widths: readonly (readonly number[])[],
  fits: (bits: readonly number[]) => boolean,
  random: SeededRandom,
): readonly number[] {
  const bits = [...start];
  while (!fits(bits)) {
    const open = bits.flatMap((width, i) => (width > (widths[i]?.[0] ?? width) ? [i] : []));
    const layer = open[random.below(open.length)] as number;
    bits[layer] = widths[layer]?.findLast((width) => width < (bits[layer] as number)) as number;
  }
  return bits;
}

/** Those that lose least, each once; of equals the one that came first. */
function best(candidates: readonly Candidate[], count: number): Candidate[] {
  const byBits = new Map(candidates.map((candidate) => [candidate.bits.join(), candidate]));
  return [...byBits.values()].sort((a, b) => a.loss - b.loss).slice(0, count);
}

/** A number from 0 to below 1. */
function share(random: SeededRandom): number {
  return random.uint32() / 2 ** 32;
}
