import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import type { LinearPlan } from "./linear-plans.js";

/** What is known of a result before it exists: every shape and layout, so that each format can be planned, or refused. */
export function plannedSource(
  linears: readonly LinearPlan[],
  checkpoint: TensorReader,
  { name, config, activations }: Pick<ExportSource, "config" | "activations"> & { readonly name: string },
): ExportSource {
  const quantized = new Set(linears.map((linear) => `${linear.name}.weight`));
  const unknown = async (tensor: string): Promise<never> => {
    throw new TypeError(`${tensor} was asked for before it was quantized`);
  };
  return {
    name,
    config,
    folder: checkpoint.folder,
    linears: new Map(linears.map((linear) => [linear.name, linear.layout])),
    plain: new Map([...checkpoint.tensors].filter(([tensor]) => !quantized.has(tensor))),
    activations,
    // Their values come from calibration; a plan counts them and does not look at them.
    inputScales: new Map(activations?.dynamic === false ? linears.map((linear) => [linear.name, 1]) : []),
    ...(activations?.zeroPoint !== undefined && {
      inputZeroPoints: new Map(linears.map((linear) => [linear.name, 0])),
    }),
    readQuantized: unknown,
    readPlain: unknown,
  };
}
