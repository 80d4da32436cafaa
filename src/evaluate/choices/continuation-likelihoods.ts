import { CalibrationError } from "../../errors.js";
import { type Decoder, tokenIds } from "../../network/index.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { crossEntropies } from "../cross-entropy.js";
import { notFinite } from "../not-finite.js";

/** Token ids that follow a context, each on its own. */
export interface Continuations {
  readonly context: Int32Array;
  readonly continuations: readonly Int32Array[];
  /** Where they came from, for errors. */
  readonly source: string;
}

export interface LikelihoodOptions {
  /** Tokens that run through the model together. Defaults to 4096; never less than a context and one continuation. */
  readonly batchTokens?: number;
  /** Called between batches with the continuations done: for progress, and to throw when the work was cancelled. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Every continuation holds the keys and values of its context, of one block at a time: so many tokens of them for each
 * token that is computed.
 */
const keptPerComputed = 4;

/** A continuation and where its log-likelihood goes. */
interface Row {
  readonly ids: Int32Array;
  readonly request: number;
  readonly choice: number;
}

/** Rows with the same context. */
interface Group {
  readonly context: Int32Array;
  readonly rows: readonly Row[];
}

/**
 * Log-likelihoods, in nats, of continuations given their contexts: the sum over a continuation's tokens. A context is
 * computed once for all that follow it. Where both together are longer than the model's context, the context loses
 * tokens at its beginning, for that continuation alone, as in lm-evaluation-harness: the last token is never fed, so
 * one more than the model's context fits.
 *
 * @throws CalibrationError for an empty context, an empty continuation, one that fills the model's context, or ids
 *   outside the vocabulary
 * @throws ModelError when a log-likelihood is not finite
 */
export function continuationLikelihoods(
  model: Decoder,
  requests: readonly Continuations[],
  options: LikelihoodOptions = {},
): number[][] {
  const result = requests.map(({ continuations }) => new Array<number>(continuations.length).fill(Number.NaN));
  const batchTokens = options.batchTokens ?? 4096;
  const groups = requests.flatMap((request, i) => groupsOf(model, request, i, keptPerComputed * batchTokens));
  const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  let done = 0;
  for (const batch of batchesOf(groups, batchTokens)) {
    options.onProgress?.(done, total);
    const rows = batch.flatMap((group) => group.rows);
    const values = logLikelihoodsOf(model, batch);
    rows.forEach(({ request, choice }, i) => {
      const value = values[i] ?? Number.NaN;
      if (!Number.isFinite(value)) throw notFinite("the log-likelihoods", requests[request]?.source ?? "");
      result[request]?.splice(choice, 1, value);
    });
    done += rows.length;
  }
  options.onProgress?.(total, total);
  return result;
}

/** Whether a continuation fits after its whole context. */
export function fits(model: Decoder, context: Int32Array, continuation: Int32Array): boolean {
  return context.length + continuation.length <= model.spec.maxPositions + 1;
}

function groupsOf(
  model: Decoder,
  { context, continuations, source }: Continuations,
  request: number,
  most: number,
): Group[] {
  const { maxPositions } = model.spec;
  const whole: Row[] = [];
  const cut: Group[] = [];
  continuations.forEach((ids, choice) => {
    if (context.length === 0 || ids.length === 0 || ids.length > maxPositions) {
      throw new CalibrationError({
        what: `choice ${choice} has ${ids.length} tokens, its context ${context.length}`,
        where: source,
        why: `both need a token, and the model was made for sequences of ${maxPositions}`,
        next: `give the choice 1 to ${maxPositions} tokens, or leave the question out`,
      });
    }
    const row = { ids, request, choice };
    if (fits(model, context, ids)) whole.push(row);
    else cut.push({ context: context.subarray(context.length + ids.length - maxPositions - 1), rows: [row] });
  });
  const together = Math.max(1, Math.floor(most / (context.length + longest(whole))));
  const groups: Group[] = [];
  for (let i = 0; i < whole.length; i += together) groups.push({ context, rows: whole.slice(i, i + together) });
  return [...groups, ...cut];
}

/** Groups whose contexts have one length, so that none is padded and all their rows start at one position. */
function batchesOf(groups: readonly Group[], batchTokens: number): Group[][] {
  const sorted = [...groups].sort((a, b) => b.context.length - a.context.length || longest(b.rows) - longest(a.rows));
  const batches: Group[][] = [];
  for (const group of sorted) {
    const last = batches.at(-1);
    const joins = last?.[0]?.context.length === group.context.length && cost([...last, group]) <= batchTokens;
    if (joins) last.push(group);
    else batches.push([group]);
  }
  return batches;
}

function cost(batch: readonly Group[]): number {
  const rows = batch.flatMap((group) => group.rows);
  const time = batch[0]?.context.length ?? 0;
  const computed = batch.length * time + rows.length * longest(rows);
  return Math.max(computed, (rows.length * (time + longest(rows))) / keptPerComputed);
}

function longest(rows: readonly Row[]): number {
  return rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
}

function logLikelihoodsOf(model: Decoder, batch: readonly Group[]): number[] {
  const { spec, device } = model;
  const rows = batch.flatMap((group, parent) => group.rows.map(({ ids }) => ({ ids, parent })));
  const time = batch[0]?.context.length ?? 0;
  // The last token of a continuation predicts nothing.
  const width = Math.max(...rows.map(({ ids }) => ids.length)) - 1;
  const padded = new Int32Array(rows.length * width);
  rows.forEach(({ ids }, i) => {
    padded.set(ids.subarray(0, -1), i * width);
  });
  const losses = noGrad(() =>
    scope(() => {
      const index = (values: readonly number[]): Tensor => Tensor.from(Int32Array.from(values)).to("int64").to(device);
      const contextIds = Int32Array.from(batch.flatMap(({ context }) => [...context]));
      const contexts = tokenIds(spec, contextIds, [batch.length, time], device);
      const parents = index(rows.map(({ parent }) => parent));
      let states: Tensor;
      if (width === 0) {
        states = model
          .hidden(contexts)
          .select(1, time - 1)
          .indexSelect(0, parents);
      } else {
        const branches = tokenIds(spec, padded, [rows.length, width], device);
        const hidden = model.hiddenOfBranches(contexts, branches, parents);
        const places = rows.flatMap(({ ids }, i) => Array.from({ length: ids.length - 1 }, (_, t) => i * width + t));
        const size = hidden.branches.size(2);
        states = Tensor.cat([
          hidden.contexts.select(1, time - 1).indexSelect(0, parents),
          hidden.branches.reshape([rows.length * width, size]).indexSelect(0, index(places)),
        ]);
      }
      // In the order of the states: the first tokens of all rows, then what follows, row by row.
      const targets = [...rows.map(({ ids }) => ids[0] ?? 0), ...rows.flatMap(({ ids }) => [...ids.subarray(1)])];
      const checked = tokenIds(spec, Int32Array.from(targets), [targets.length, 1], device).reshape([targets.length]);
      return crossEntropies((x) => model.head(x), states, checked, spec.vocabSize);
    }),
  );
  let at = rows.length;
  return rows.map(({ ids }, i) => {
    let sum = -(losses[i] ?? Number.NaN);
    for (let t = 1; t < ids.length; t++) sum -= losses[at++] ?? Number.NaN;
    return sum;
  });
}
