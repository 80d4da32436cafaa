import { arithmetic } from "./arithmetic.js";
import { elementwise } from "./elementwise.js";
import { layout } from "./layout.js";
import { made } from "./made.js";
import { normalization } from "./normalization.js";
import type { Operator } from "./operator.js";
import { pooling } from "./pooling.js";
import { products } from "./products.js";
import { quantization } from "./quantization.js";
import { reduction } from "./reduction.js";
import { resizing } from "./resize.js";
import { selection } from "./select.js";

/** The operators of ONNX that crossblock computes, by name. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  [
    arithmetic,
    elementwise,
    layout,
    made,
    normalization,
    pooling,
    products,
    quantization,
    reduction,
    resizing,
    selection,
  ].flatMap((table) => Object.entries(table)),
);
