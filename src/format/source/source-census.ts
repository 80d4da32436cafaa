import { ModelError } from "../../errors.js";
import { modelSpec, someNames, type TensorCensus, takeCensus } from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";

/**
 * The census of a result: its quantized Linears count as their weights. Null for networks that crossblock does not compute,
 * as results of other tools may be.
 */
export function sourceCensus({
  config,
  linears,
  plain,
}: Pick<ExportSource, "config" | "linears" | "plain">): TensorCensus | null {
  const codes = [...linears].map(([module, { rows, columns, bits }]) => {
    return { name: `${module}.weight`, dtype: "U8", byteLength: Math.ceil((rows * columns * bits) / 8) } as const;
  });
  const stored = new Map([...codes, ...plain.values()].map((tensor) => [tensor.name, tensor]));
  try {
    return takeCensus(
      modelSpec(config, (name) => stored.has(name)),
      config,
      stored.values(),
    );
  } catch (error) {
    if (error instanceof ModelError) return null;
    throw error;
  }
}

/** What a note on an export says of tensors that it has no place for; empty where there are none. */
export function omissionNotes(source: ExportSource, format: string): readonly string[] {
  const names = (sourceCensus(source)?.leftOut ?? []).flatMap(({ matters, tensors }) => (matters ? tensors : []));
  if (names.length === 0) return [];
  return [`${format} leaves out what the network does not read: ${someNames(names)}.`];
}
