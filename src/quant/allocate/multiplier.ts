/** One way to store an item. */
export interface Choice {
  /** A whole number of bits. */
  readonly cost: number;
  /** What is lost with it, at least 0. */
  readonly loss: number;
}

/** States that the exact finish keeps: beyond them it keeps those that lost least, and is no longer exact. */
const MOST_STATES = 50_000;
/** Halvings of the multiplier's bracket, on a logarithmic scale. */
const HALVINGS = 80;

/**
 * Chooses for every item one of its choices, so that the sum of their losses is least and that of their costs within
 * the budget. A Lagrangian multiplier, found by bisection, prices the bits: every item takes what is cheapest by itself, which
 * is optimal but for what the budget has left. What is within the gap to the bound that the multiplier proves is then
 * enumerated, states that another one beats in loss and cost left out, so that the finish is exact.
 * Sources: Shoham and Gersho, IEEE Trans. ASSP 36(9), 1988, for the multiplier; Nemhauser and Ullmann, Management Science 15(9),
 * 1969, for the enumeration.
 *
 * @returns the place of every item's choice; null where even the cheapest choices are above the budget
 */
export function allocate(items: readonly (readonly Choice[])[], budget: number): readonly number[] | null {
  const most = at(items, 0);
  if (costOf(items, most) <= budget) return most;
  const least = items.map((choices) => bestOf(choices, ({ cost }) => cost));
  if (costOf(items, least) > budget) return null;
  const price = findPrice(items, budget);
  const feasible = fill(items, costOf(items, at(items, price)) <= budget ? at(items, price) : least, budget);
  return finish(items, budget, price, feasible);
}

/** What every item takes at a price of a bit; of equals the cheapest. */
function at(items: readonly (readonly Choice[])[], price: number): number[] {
  return items.map((choices) => bestOf(choices, ({ cost, loss }) => loss + price * cost));
}

function bestOf(choices: readonly Choice[], scoreOf: (choice: Choice) => number): number {
  let best = 0;
  choices.forEach((choice, i) => {
    const [value, held] = [scoreOf(choice), scoreOf(choices[best] as Choice)];
    if (value < held || (value === held && choice.cost < (choices[best] as Choice).cost)) best = i;
  });
  return best;
}

// The least price found that keeps within the budget.
function findPrice(items: readonly (readonly Choice[])[], budget: number): number {
  const within = (price: number): boolean => costOf(items, at(items, price)) <= budget;
  const losses = items.flatMap((choices) => choices.map(({ loss }) => loss));
  let high = Math.max(...losses.map((loss) => Math.abs(loss)), Number.MIN_VALUE);
  while (!within(high) && high < 1e300) high *= 16;
  let low = high;
  while (within(low) && low > 1e-300) low /= 16;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = Math.sqrt(low) * Math.sqrt(high);
    if (within(middle)) high = middle;
    else low = middle;
  }
  return high;
}

// What the budget has left goes to the changes that gain most for a bit.
function fill(items: readonly (readonly Choice[])[], start: readonly number[], budget: number): number[] {
  const chosen = [...start];
  for (let left = budget - costOf(items, chosen); ; ) {
    let best: { item: number; place: number; rate: number; cost: number } | null = null;
    for (const [item, choices] of items.entries()) {
      const now = choices[chosen[item] as number] as Choice;
      for (const [place, { cost, loss }] of choices.entries()) {
        const [more, gain] = [cost - now.cost, now.loss - loss];
        const rate = gain / Math.max(more, 1e-9);
        if (gain > 0 && more <= left && (best === null || rate > best.rate)) best = { item, place, rate, cost: more };
      }
    }
    if (best === null) return chosen;
    chosen[best.item] = best.place;
    left -= best.cost;
  }
}

interface State {
  readonly cost: number;
  /** Loss and price of the choices over those of the items' best at that price. */
  readonly excess: number;
  readonly place: number;
  readonly before: State | null;
}

function finish(
  items: readonly (readonly Choice[])[],
  budget: number,
  price: number,
  feasible: readonly number[],
): readonly number[] {
  const priced = items.map((choices) => choices.map(({ cost, loss }) => loss + price * cost));
  const floors = priced.map((values) => Math.min(...values));
  const bound = sum(floors) - price * budget;
  // Rounding of these sums must not leave out what is as good.
  const gap = (lossOf(items, feasible) - bound) * (1 + 1e-9) + Number.MIN_VALUE;
  const cheapest = items.map((choices) => Math.min(...choices.map(({ cost }) => cost)));
  const rest = cheapest.map((_, i) => sum(cheapest.slice(i + 1)));
  let states: State[] = [{ cost: 0, excess: 0, place: -1, before: null }];
  for (const [i, choices] of items.entries()) {
    const next: State[] = [];
    for (const before of states) {
      for (const [place, choice] of choices.entries()) {
        const cost = before.cost + choice.cost;
        const excess = before.excess + ((priced[i]?.[place] ?? 0) - (floors[i] ?? 0));
        if (excess <= gap && cost + (rest[i] ?? 0) <= budget) next.push({ cost, excess, place, before });
      }
    }
    states = undominated(next, price);
  }
  // Every state is within the budget by now; null where the greedy start was the only one within the gap.
  const best = states.reduce<State | null>(
    (held, state) => (held === null || loss(state, price) < loss(held, price) ? state : held),
    null,
  );
  if (best === null) return feasible;
  const found: number[] = [];
  for (let state: State | null = best; state !== null && state.before !== null; state = state.before) {
    found.unshift(state.place);
  }
  return lossOf(items, found) <= lossOf(items, feasible) ? found : feasible;
}

// The loss of a state but for the floors, which all states of an item share.
function loss({ cost, excess }: State, price: number): number {
  return excess - price * cost;
}

function undominated(states: State[], price: number): State[] {
  const sorted = states.sort((a, b) => a.cost - b.cost || a.excess - b.excess);
  const kept: State[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const state of sorted) {
    const value = loss(state, price);
    if (value >= least) continue;
    least = value;
    kept.push(state);
  }
  if (kept.length <= MOST_STATES) return kept;
  return kept.sort((a, b) => a.excess - b.excess).slice(0, MOST_STATES);
}

function costOf(items: readonly (readonly Choice[])[], chosen: readonly number[]): number {
  return sum(items.map((choices, i) => choices[chosen[i] as number]?.cost ?? 0));
}

function lossOf(items: readonly (readonly Choice[])[], chosen: readonly number[]): number {
  return sum(items.map((choices, i) => choices[chosen[i] as number]?.loss ?? 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
