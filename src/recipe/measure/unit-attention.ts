import type { PortStore } from "../../calibration/port-store.js";
import type { AttentionValues } from "../../network/index.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { UnitWork } from "../recipe.js";
import { AttentionFactors, type AttentionStatistics } from "./attention-factors.js";

/** Sums for a unit's attention, to be filled; null where it has none whose Linears are quantized. */
export function attentionOf(
  block: QuantizedUnit,
  { job }: Pick<UnitWork, "job">,
  statistics: AttentionStatistics,
): AttentionFactors | null {
  const { attention } = block.plan;
  if (attention === undefined) return null;
  const names = [attention.query, attention.key, attention.value];
  return names.some((name) => block.layers.has(name)) ? new AttentionFactors(attention, statistics, job.device) : null;
}

/** What the attention of a block in full precision does with the sequences of a stream at its input, quantized as its Linears read it. */
export function collectAttention(
  block: QuantizedUnit,
  stream: PortStore,
  work: Pick<UnitWork, "job" | "parts">,
  statistics: AttentionStatistics,
): AttentionFactors | null {
  const factors = attentionOf(block, work, statistics);
  if (factors === null) return null;
  const value = block.layers.get(block.plan.attention?.value ?? "");
  const asRead = (values: AttentionValues): AttentionValues => ({
    ...values,
    input: value?.activation?.apply(values.input) ?? values.input,
  });
  try {
    noGrad(() =>
      work.parts.each(stream.shape.sequences, (part) => {
        work.job.poll();
        scope(() =>
          factors.during(part, (observe) => {
            block.forwardFull(stream.read(part), undefined, (values) => observe(asRead(values)));
          }),
        );
      }),
    );
    return factors;
  } catch (error) {
    factors[Symbol.dispose]();
    throw error;
  }
}
