/** A part of an ONNX graph that is computed and reconstructed as one. */
export interface InspectedUnit {
  readonly index: number;
  /** `condition`: what follows from time steps and the like alone. `layer`: a single one, with what follows it. */
  readonly kind: "residual" | "attention" | "branches" | "condition" | "layer";
  /** Its convolutions and Linears. */
  readonly layers: readonly string[];
  /** Numbers in their weights. */
  readonly weights: number;
  /** Operations of the graph. */
  readonly nodes: number;
  /** Values that come from outside, and values that later units read. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}
