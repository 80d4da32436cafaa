import type { ExportSource } from "../../src/format/contract/export-source.js";
import { type RtnScheme, roundedOnce, rtnSource } from "./rtn-source.js";

/** The model's first layers, rounded once: enough to meet every kind of tensor, and fast. */
export async function firstLayers(
  model: string,
  layers: number,
  schemeOf: (name: string) => RtnScheme | null,
): Promise<ExportSource & Disposable> {
  const whole = await rtnSource(model, { schemeOf });
  const kept = ([name]: readonly [string, unknown]): boolean => {
    const number = /\.layers\.(\d+)\./.exec(name)?.[1];
    return number === undefined || Number(number) < layers;
  };
  return {
    ...roundedOnce(whole),
    config: { ...whole.config, num_hidden_layers: layers },
    linears: new Map([...whole.linears].filter(kept)),
    plain: new Map([...whole.plain].filter(kept)),
  };
}
