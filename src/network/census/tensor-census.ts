import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { DecoderSpec } from "../decoder/spec/decoder-spec.js";
import { storedViews } from "../decoder/spec/experts/stored-views.js";
import { networkTensors } from "../decoder/spec/network-tensors.js";
import { type LeftOutReason, leftOutRules, type TensorFacts } from "./left-out-rules.js";

/** What the census needs of a tensor: a checkpoint's own entry has it. */
export type CountedTensor = Pick<TensorInfo, "name" | "dtype" | "byteLength">;

/** Tensors that the network does not read, for one reason. */
export interface LeftOutTensors {
  readonly reason: LeftOutReason;
  /** All of them, in the order of the checkpoint. */
  readonly tensors: readonly string[];
  readonly bytes: number;
  /** What they are, as a clause: "biases that config.json does not speak of". */
  readonly what: string;
  /** What a user can do where they should be read, or why there is nothing to do. */
  readonly next: string;
  /** False where the network makes the same itself, so that nothing is missing. */
  readonly matters: boolean;
}

/** What becomes of every tensor of a checkpoint. */
export interface TensorCensus {
  /** Names of the tensors that the network reads; each other one is left out of all computation. */
  readonly read: ReadonlySet<string>;
  readonly leftOut: readonly LeftOutTensors[];
}

/**
 * Counts the tensors of a checkpoint: those that the network reads, and all others with the reason why it does not. Needs
 * nothing of a family but its table.
 *
 * @param spec the network, as `modelSpec` resolved it
 * @param config `config.json`, which may name what the others are for
 */
export function takeCensus(spec: DecoderSpec, config: ModelConfig, tensors: Iterable<CountedTensor>): TensorCensus {
  const stored = [...tensors];
  const names = new Set(stored.map(({ name }) => name));
  const wanted = networkTensors(spec);
  const parts = new Set([...storedViews(spec, (name) => names.has(name)).values()].flatMap(({ from }) => from));
  const read = new Set(stored.flatMap(({ name }) => (wanted.has(name) || parts.has(name) ? [name] : [])));
  const rules = leftOutRules({ spec, config, wanted, names });
  const groups = new Map<string, LeftOutTensors & { readonly tensors: string[]; bytes: number }>();
  for (const { name, dtype, byteLength } of stored) {
    if (read.has(name)) continue;
    const facts: TensorFacts = { name, dtype };
    const { reason, what, next, matters } = rules(facts);
    const key = `${reason}\n${what}\n${next}`;
    const group = groups.get(key) ?? { reason, what, next, matters, tensors: [], bytes: 0 };
    group.tensors.push(name);
    group.bytes += byteLength;
    groups.set(key, group);
  }
  return { read, leftOut: [...groups.values()] };
}

/** The first three names and how many more there are: `a, b, c and 3 more`. */
export function someNames(names: readonly string[]): string {
  const first = names.slice(0, 3).join(", ");
  return names.length <= 3 ? first : `${first} and ${names.length - 3} more`;
}
