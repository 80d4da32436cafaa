import { callTensor, type Tensor } from "../../../tensor/index.js";
import type { NodeCall, OperatorTable } from "./operator.js";
import { effectivePads, padded, symmetricPads } from "./padding.js";
import { convolveTransposed } from "./transposed-convolution.js";

/** Convolutions and products of matrices. */
export const products: OperatorTable = {
  Conv: { run: (call) => convolve(call, call.tensor(0), call.tensor(1), call.optional(2)) },
  ConvTranspose: { run: (call) => convolveTransposed(call, call.tensor(0), call.tensor(1), call.optional(2)) },
  Einsum: {
    run: (call) => {
      const tensors = call.inputs.map((_, i) => call.tensor(i));
      return callTensor("aten::einsum", [call.attributes.string("equation", "").replaceAll(" ", ""), tensors]);
    },
  },
  Gemm: { run: gemm },
  MatMul: { run: (call) => call.tensor(0).matmul(call.tensor(1)) },
};

/** A Conv node of this input, with any weight `[out, in / groups, ...kernel]` and bias. */
export function convolve(call: NodeCall, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const { input, strides, padding, dilations, groups } = readConvolution(call, x, weight.shape);
  const none = padding.map(() => 0);
  return callTensor("aten::convolution", [input, weight, bias, strides, padding, dilations, false, none, groups]);
}

/**
 * What the rows of a Conv's weight `[out, in / groups * kernel]` are multiplied with, place by place and group by group:
 * `[batch, groups * places, in / groups * kernel]`. Kernels of one or two dimensions.
 */
export function convolvedRows(call: NodeCall, x: Tensor, shape: readonly number[]): Tensor {
  const { input, strides, padding, dilations, groups } = readConvolution(call, x, shape);
  const kernel = shape.slice(2);
  if (kernel.length > 2) {
    call.refuse("a convolution of three dimensions", "choose a recipe that needs no moments of inputs: rtn");
  }
  // Of one dimension it is an image of height 1.
  const flat = kernel.length === 1;
  const two = (values: readonly number[], other: number): readonly number[] => (flat ? [other, ...values] : values);
  const [batch, channels] = [input.size(0), input.size(1)];
  const places = flat ? [1, input.size(2)] : [input.size(2), input.size(3)];
  const image = input.reshape([batch * groups, channels / groups, ...places]);
  const sizes = [two(kernel, 1), two(dilations, 1), two(padding, 0), two(strides, 1)];
  const rows = callTensor("aten::im2col", [image, ...sizes]).transpose(1, 2);
  return rows.reshape([batch, groups * rows.size(1), rows.size(2)]);
}

interface Convolution {
  /** Padded where the sides differ. */
  readonly input: Tensor;
  readonly strides: readonly number[];
  readonly padding: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
}

function readConvolution(call: NodeCall, x: Tensor, shape: readonly number[]): Convolution {
  const { attributes } = call;
  const kernel = shape.slice(2);
  if (x.rank !== shape.length) call.refuse(`an input of ${x.rank} dimensions for a weight of ${shape.length}`);
  const strides = attributes.ints("strides") ?? kernel.map(() => 1);
  const dilations = attributes.ints("dilations") ?? kernel.map(() => 1);
  const pads = effectivePads(call, x.shape.slice(2), kernel, strides, dilations);
  const same = symmetricPads(pads);
  return {
    input: same === null ? padded(x, pads, 0) : x,
    strides,
    padding: same ?? kernel.map(() => 0),
    dilations,
    groups: attributes.int("group", 1),
  };
}

function gemm(call: NodeCall): Tensor {
  const { attributes } = call;
  const turned = (at: number, name: string): Tensor => {
    const matrix = call.tensor(at);
    return attributes.int(name, 0) === 0 ? matrix : matrix.transpose(0, 1);
  };
  const [alpha, beta] = [attributes.float("alpha", 1), attributes.float("beta", 1)];
  const product = turned(0, "transA").matmul(turned(1, "transB"));
  const scaled = alpha === 1 ? product : product.mul(alpha);
  const bias = call.optional(2);
  if (bias === null) return scaled;
  return scaled.add(beta === 1 ? bias : bias.mul(beta));
}
