import { callTensor, Tensor } from "../../../tensor/index.js";
import { both, type NodeCall, type OperatorTable, oneOf, only } from "./operator.js";
import { picked } from "./padding.js";

const MODES = ["nearest", "linear", "cubic"];
const COORDINATES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"];
const ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];

/** In the order of libtorch's numbers; the second names are those of version 20. */
const SAMPLED = { mode: ["bilinear", "nearest", "bicubic"], newer: ["linear", "nearest", "cubic"] } as const;
const AROUND = ["zeros", "border", "reflection"];

/** Other sizes by interpolation, one dimension after the other, and elements at places that a tensor says. */
export const resizing: OperatorTable = {
  GridSample: {
    run: gridSample,
    check: oneOf({ mode: [...SAMPLED.mode, ...SAMPLED.newer], padding_mode: AROUND }),
  },
  Resize: {
    settings: [1, 2, 3],
    run: resize,
    check: both(
      only({ antialias: 0, keep_aspect_ratio_policy: "stretch" }),
      oneOf({ mode: MODES, coordinate_transformation_mode: COORDINATES, nearest_mode: ROUNDINGS }),
    ),
  },
  Upsample: { settings: [1], run: upsample, check: oneOf({ mode: ["nearest", "linear"] }) },
};

/** How a dimension gets another size. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly scale: number;
}

/** What an element of the result is made of: entries of a dimension and their weights. */
type Taps = readonly { readonly at: number; readonly weight: number }[];

function gridSample(call: NodeCall): Tensor {
  const { attributes } = call;
  const mode = attributes.string("mode", "bilinear");
  const kind = Math.max(SAMPLED.mode.indexOf(mode as "nearest"), SAMPLED.newer.indexOf(mode as "nearest"));
  const around = AROUND.indexOf(attributes.string("padding_mode", "zeros"));
  const corners = attributes.int("align_corners", 0) === 1;
  return callTensor("aten::grid_sampler", [call.tensor(0), call.tensor(1), kind, around, corners]);
}

function upsample(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const scales = call.numbers(1) ?? call.attributes.floats("scales") ?? call.refuse("it has no scales");
  const mode = call.attributes.string("mode", "nearest");
  const stretches = x.shape.map((from, i) => ({
    from,
    to: Math.floor(from * (scales[i] ?? 1)),
    scale: scales[i] ?? 1,
  }));
  return stretched(call, stretches, (stretch, i) => {
    const at = i / stretch.scale;
    return mode === "nearest" ? [{ at: Math.floor(at), weight: 1 }] : linear(at);
  });
}

function resize(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const old = call.opset < 11;
  const { attributes } = call;
  // Versions up to 10 have scales alone, in place of the region.
  const given = (at: number): readonly number[] | null => {
    const numbers = call.numbers(at);
    return numbers === null || numbers.length === 0 ? null : numbers;
  };
  const scales = given(old ? 1 : 2);
  const sizes = old ? null : given(3);
  const axes = attributes.ints("axes")?.map((axis) => call.axis(axis, x.rank)) ?? x.shape.map((_, i) => i);
  const stretches = x.shape.map((from, dim): Stretch => {
    const place = axes.indexOf(dim);
    const size = sizes?.[place];
    if (size !== undefined) return { from, to: size, scale: size / from };
    const scale = scales?.[place] ?? 1;
    return { from, to: Math.floor(from * scale), scale };
  });
  const mode = attributes.string("mode", "nearest");
  const source = sourcePlace(
    call,
    old ? "asymmetric" : attributes.string("coordinate_transformation_mode", "half_pixel"),
  );
  const toNearest = nearest(call, old ? "floor" : attributes.string("nearest_mode", "round_prefer_floor"));
  const coefficient = attributes.float("cubic_coeff_a", -0.75);
  const exclude = attributes.int("exclude_outside", 0) === 1;
  return stretched(call, stretches, (stretch, i) => {
    const at = source(stretch, i);
    if (mode === "nearest") return [{ at: toNearest(at), weight: 1 }];
    const taps = mode === "linear" ? linear(at) : cubic(at, coefficient);
    return exclude ? inside(taps, stretch.from) : taps;
  });
}

/** Which place of the source an element of the result is at, in fp32 as runtimes compute it: ties fall the same way. */
function sourcePlace(call: NodeCall, mode: string): (stretch: Stretch, i: number) => number {
  const f = Math.fround;
  const halfPixel = (scale: number, i: number): number => f(f(f(i + 0.5) / f(scale)) - 0.5);
  switch (mode) {
    case "half_pixel":
      return ({ scale }, i) => halfPixel(scale, i);
    case "half_pixel_symmetric":
      return ({ from, to, scale }, i) => {
        const adjustment = f(to / f(f(scale) * from));
        const offset = f((from / 2) * f(1 - adjustment));
        return f(f(offset + f(f(i + 0.5) / f(scale))) - 0.5);
      };
    case "pytorch_half_pixel":
      return ({ to, scale }, i) => (to > 1 ? halfPixel(scale, i) : 0);
    case "align_corners":
      return ({ from, to }, i) => (to > 1 ? f((i * (from - 1)) / (to - 1)) : 0);
    case "asymmetric":
      return ({ scale }, i) => f(i / f(scale));
    default:
      return call.refuse(`coordinates of the kind "${mode}"`, "export the network with half_pixel or align_corners");
  }
}

function nearest(call: NodeCall, mode: string): (at: number) => number {
  switch (mode) {
    case "round_prefer_floor":
      return (at) => Math.ceil(at - 0.5);
    case "round_prefer_ceil":
      return (at) => Math.floor(at + 0.5);
    case "floor":
      return Math.floor;
    case "ceil":
      return Math.ceil;
    default:
      return call.refuse(`rounding of the kind "${mode}"`);
  }
}

function linear(at: number): Taps {
  const below = Math.floor(at);
  const part = at - below;
  return [
    { at: below, weight: 1 - part },
    { at: below + 1, weight: part },
  ];
}

// Keys, "Cubic convolution interpolation for digital image processing" (1981).
function cubic(at: number, a: number): Taps {
  const below = Math.floor(at);
  return [-1, 0, 1, 2].map((step) => {
    const d = Math.abs(at - (below + step));
    const near = (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    const far = a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a;
    return { at: below + step, weight: d <= 1 ? near : far };
  });
}

function inside(taps: Taps, size: number): Taps {
  const kept = taps.map(({ at, weight }) => ({ at, weight: at < 0 || at >= size ? 0 : weight }));
  const total = kept.reduce((sum, { weight }) => sum + weight, 0);
  return kept.map(({ at, weight }) => ({ at, weight: weight / total }));
}

function stretched(call: NodeCall, stretches: readonly Stretch[], taps: (stretch: Stretch, i: number) => Taps): Tensor {
  let x = call.tensor(0);
  stretches.forEach((stretch, dim) => {
    const { from, to, scale } = stretch;
    if (to === from && scale === 1) return;
    if (!Number.isSafeInteger(to) || to < 0) call.refuse(`a size of ${to}`);
    const all = Array.from({ length: to }, (_, i) => taps(stretch, i));
    x = interpolated(call, x, dim, all);
  });
  return x === call.tensor(0) ? x.reshape(x.shape) : x;
}

// Beyond the edge lies what is at the edge.
function interpolated(call: NodeCall, x: Tensor, dim: number, all: readonly Taps[]): Tensor {
  const most = Math.max(...all.map((taps) => taps.length), 0);
  const size = x.size(dim);
  let sum: Tensor | null = null;
  for (let k = 0; k < most; k++) {
    const at = all.map((taps) => Math.min(size - 1, Math.max(0, taps[k]?.at ?? 0)));
    const part = picked(call, x, dim, at);
    const weights = all.map((taps) => taps[k]?.weight ?? 0);
    const term = most === 1 ? part : part.mul(weightsAlong(call, x, dim, weights));
    sum = sum === null ? term : sum.add(term);
  }
  return sum ?? x;
}

function weightsAlong(call: NodeCall, x: Tensor, dim: number, weights: readonly number[]): Tensor {
  const shape = x.shape.map((_, i) => (i === dim ? weights.length : 1));
  return call.constant(`${x.device}:${x.dtype}:${dim}:${weights.join()}`, () =>
    Tensor.from(Float32Array.from(weights), shape).to(x.dtype).to(x.device),
  );
}
