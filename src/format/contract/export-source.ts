import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { PackedWeight } from "../bits/packed-rows.js";
import type { GraphSource } from "./graph-source.js";
import type { InputGrid } from "./input-grid.js";

/** How one quantized Linear is stored, without its codes: enough to plan a file before reading anything. */
export type QuantizedLayout = Pick<
  QuantizedWeight,
  "bits" | "groupBits" | "groupSize" | "perChannel" | "symmetric" | "rows" | "columns"
>;

/** How the inputs of the quantized Linears are quantized at run time. */
export interface ActivationQuantization {
  readonly bits: 4 | 8;
  readonly granularity: "token" | "tensor";
  /** True when the range is taken from each input (per token); false when it was fixed by calibration. */
  readonly dynamic: boolean;
  /**
   * Absent where ranges lie evenly around zero. Else zero has a code of its own, an integer; or none, where grids were not
   * shifted to hold it: a fraction.
   */
  readonly zeroPoint?: "integer" | "fraction";
}

/**
 * A finished result, as every writer sees it: codes of the quantized Linears, the bytes of all other
 * tensors in their source dtype, and the folder whose tokenizer and configuration files go along.
 * Everything is read on demand, one tensor at a time.
 */
export interface ExportSource {
  /** Name of the model that was quantized, for file names and metadata; the folder's where it is absent. */
  readonly name?: string;
  /** Parsed `config.json` of the source model, without any `quantization_config`. */
  readonly config: ModelConfig;
  /** Folder that holds the tokenizer files, `generation_config.json` and the like. */
  readonly folder: string;
  /** Quantized Linears by module name, without `.weight`: `model.layers.0.self_attn.q_proj`. */
  readonly linears: ReadonlyMap<string, QuantizedLayout>;
  /** All other tensors by full name, biases of quantized Linears included. */
  readonly plain: ReadonlyMap<string, TensorInfo>;
  /** Null when activations stay in floating point (A16). */
  readonly activations: ActivationQuantization | null;
  /** Static activation scales by module name; empty unless `activations.dynamic` is false. */
  readonly inputScales: ReadonlyMap<string, number>;
  /** Their zero points, from 0 to `2^bits - 1`, where ranges do not lie evenly around zero. */
  readonly inputZeroPoints?: ReadonlyMap<string, number>;
  /** The graph that the result was made from; absent in results of language models. */
  readonly graph?: GraphSource;
  /** How inputs of a graph's layers are quantized, by module, where they differ in more than step and zero point. */
  readonly inputGrids?: ReadonlyMap<string, InputGrid>;
  readQuantized(name: string): Promise<QuantizedWeight>;
  /** The same with packed rows, where the source keeps them so; it has checked them (`assertSound`). */
  readonly readPacked?: ((name: string) => Promise<PackedWeight>) | undefined;
  readPlain(name: string): Promise<Uint8Array>;
}
