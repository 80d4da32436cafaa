import { callTensor, type Tensor } from "../../../tensor/index.js";
import type { NodeCall } from "./operator.js";
import { padded } from "./padding.js";

/** A ConvTranspose node of this input, with any weight `[in, out / groups, ...kernel]` and bias. */
export function convolveTransposed(call: NodeCall, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const { strides, dilations, more, whole, begins, sizes } = readTransposed(call, x, weight.shape);
  const groups = call.attributes.int("group", 1);
  const none = strides.map(() => 0);
  // Whole, and then cut: pads may differ between the sides, and may be less than nothing.
  const y = callTensor("aten::convolution", [x, weight, null, strides, none, dilations, true, more, groups]);
  const cut = whole.map((n, i) => [-(begins[i] ?? 0), (begins[i] ?? 0) + (sizes[i] ?? n) - n] as const);
  const kept = cut.every(([before, after]) => before === 0 && after === 0) ? y : padded(y, cut, 0);
  return bias === null ? kept : kept.add(bias.reshape([-1, ...none.map(() => 1)]));
}

/**
 * What the rows of a ConvTranspose's weight `[out, in / groups * kernel]` are multiplied with, place by place and group by group:
 * `[batch, groups * places, in / groups * kernel]`. A transposed convolution is a plain one, with the kernel turned around, of the
 * input with zeros between its numbers. Kernels of one or two dimensions.
 *
 * @param shape of the weight, `[in, out / groups, ...kernel]`
 */
export function transposedRows(call: NodeCall, x: Tensor, shape: readonly number[]): Tensor {
  const { strides, dilations, begins, sizes } = readTransposed(call, x, shape);
  const kernel = shape.slice(2);
  if (kernel.length > 2) {
    call.refuse("a transposed convolution of three dimensions", "choose a recipe that needs no moments of inputs: rtn");
  }
  const groups = call.attributes.int("group", 1);
  const [batch, channels] = [x.size(0) * groups, x.size(1) / groups];
  const spread = withZeros(x, strides);
  const image = padded(
    spread,
    kernel.map((size, i) => {
      const reach = (size - 1) * (dilations[i] ?? 1) + 1;
      const before = reach - 1 - (begins[i] ?? 0);
      return [before, (sizes[i] ?? 0) - spread.size(i + 2) - before + reach - 1] as const;
    }),
    0,
  );
  // Of one dimension it is an image of height 1.
  const flat = kernel.length === 1;
  const two = (values: readonly number[], other: number): readonly number[] => (flat ? [other, ...values] : values);
  const places = flat ? [1, image.size(2)] : [image.size(2), image.size(3)];
  const settings = [two(kernel, 1), two(dilations, 1), [0, 0], [1, 1]];
  const columns = callTensor("aten::im2col", [image.reshape([batch, channels, ...places]), ...settings]);
  const turned = callTensor("aten::flip", [columns.reshape([batch, channels, ...two(kernel, 1), -1]), [2, 3]]);
  return turned
    .reshape([batch, columns.size(1), -1])
    .transpose(1, 2)
    .reshape([x.size(0), -1, columns.size(1)]);
}

/** `x` with as many zeros between neighbours as strides skip: what a kernel of one 1 for each channel makes of it. */
function withZeros(x: Tensor, strides: readonly number[]): Tensor {
  const channels = x.size(1);
  const one = callTensor("aten::ones_like", [x.narrow(0, 0, 1).reshape([channels, -1]).narrow(1, 0, 1)]);
  const kernel = one.reshape([channels, 1, ...strides.map(() => 1)]);
  const none = strides.map(() => 0);
  const ones = strides.map(() => 1);
  return callTensor("aten::convolution", [x, kernel, null, strides, none, ones, true, none, channels]);
}

interface Transposed {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** What is added at the ends. */
  readonly more: readonly number[];
  /** Size of the result before it is cut, where what is kept of it begins, and its size. */
  readonly whole: readonly number[];
  readonly begins: readonly number[];
  readonly sizes: readonly number[];
}

function readTransposed(call: NodeCall, x: Tensor, shape: readonly number[]): Transposed {
  const { attributes } = call;
  const kernel = shape.slice(2);
  const size = x.shape.slice(2);
  const ones = kernel.map(() => 1);
  const strides = attributes.ints("strides") ?? ones;
  const dilations = attributes.ints("dilations") ?? ones;
  const more = attributes.ints("output_padding") ?? kernel.map(() => 0);
  const whole = size.map((n, i) => {
    const reach = ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1;
    return (strides[i] ?? 1) * (n - 1) + (more[i] ?? 0) + reach;
  });
  const [begins, sizes] = transposedCut(call, whole, size, strides);
  return { strides, dilations, more, whole, begins, sizes };
}

/** Where the result begins in the whole one, and its size. */
function transposedCut(
  call: NodeCall,
  whole: readonly number[],
  input: readonly number[],
  strides: readonly number[],
): readonly [readonly number[], readonly number[]] {
  const { attributes } = call;
  const auto = attributes.string("auto_pad", "NOTSET");
  const same = auto === "SAME_UPPER" || auto === "SAME_LOWER";
  const wanted = attributes.ints("output_shape")?.slice(-whole.length);
  const sizes = wanted ?? (same ? input.map((n, i) => n * (strides[i] ?? 1)) : null);
  if (sizes !== null) {
    const cut = whole.map((n, i) => n - (sizes[i] ?? n));
    return [cut.map((n) => (auto === "SAME_UPPER" ? Math.floor(n / 2) : n - Math.floor(n / 2))), sizes];
  }
  const pads = auto === "VALID" ? null : attributes.ints("pads");
  const begins = whole.map((_, i) => pads?.[i] ?? 0);
  return [begins, whole.map((n, i) => n - (begins[i] ?? 0) - (pads?.[i + whole.length] ?? 0))];
}
