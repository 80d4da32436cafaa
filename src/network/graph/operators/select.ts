import { callTensor, callTensors, Tensor } from "../../../tensor/index.js";
import { mostNumbers } from "./made.js";
import { type NodeCall, type OperatorTable, oneOf, only } from "./operator.js";
import { padded, picked } from "./padding.js";

/** Some of the elements, and elements around them. */
export const selection: OperatorTable = {
  Gather: { run: gather },
  GatherElements: { run: gatherElements },
  GatherND: { run: gatherPlaces, check: only({ batch_dims: 0 }) },
  Pad: { settings: [1, 2, 3], run: pad, check: oneOf({ mode: ["constant", "reflect", "edge", "wrap"] }) },
  ScatterElements: { run: scatterElements, check: oneOf({ reduction: ["none", "add"] }) },
  ScatterND: { run: scatterPlaces, check: oneOf({ reduction: ["none", "add"] }) },
  Slice: { settings: [1, 2, 3, 4], run: slice },
  TopK: { settings: [1], run: largest },
  Trilu: { settings: [1], run: triangle },
};

function gather(call: NodeCall): Tensor {
  const [x, at] = [call.tensor(0), call.tensor(1)];
  const axis = call.axis(call.attributes.int("axis", 0), x.rank);
  const size = x.size(axis);
  const whole = at.to("int64");
  const positive = Tensor.where(whole.lt(0), whole.add(size), whole).reshape([-1]);
  const shape = [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)];
  return x.indexSelect(axis, positive).reshape(shape);
}

// Indices count from the end where they are below 0.
function counted(at: Tensor, size: number): Tensor {
  const whole = at.to("int64");
  return Tensor.where(whole.lt(0), whole.add(size), whole);
}

function gatherElements(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = call.axis(call.attributes.int("axis", 0), x.rank);
  return callTensor("aten::gather", [x, axis, counted(call.tensor(1), x.size(axis))]);
}

function scatterElements(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = call.axis(call.attributes.int("axis", 0), x.rank);
  const name = call.attributes.string("reduction", "none") === "add" ? "aten::scatter_add" : "aten::scatter.src";
  return callTensor(name, [x, axis, counted(call.tensor(1), x.size(axis)), call.tensor(2)]);
}

/** The first dimensions of `x` as one, and the places in it that rows of indices `[..., dimensions]` name. */
function flatPlaces(
  x: Tensor,
  at: Tensor,
): { readonly flat: Tensor; readonly places: Tensor; readonly rest: readonly number[] } {
  const count = at.size(at.rank - 1);
  const [front, rest] = [x.shape.slice(0, count), x.shape.slice(count)];
  const one = (dim: number): Tensor => counted(at.narrow(at.rank - 1, dim, 1), front[dim] ?? 1).reshape([-1]);
  const places = front
    .map((_, dim) => dim)
    .reduce((sum: Tensor | null, dim) => {
      return sum === null ? one(dim) : sum.mul(front[dim] ?? 1).add(one(dim));
    }, null);
  return { flat: x.reshape([-1, ...rest]), places: places ?? one(0), rest };
}

function gatherPlaces(call: NodeCall): Tensor {
  const [x, at] = [call.tensor(0), call.tensor(1)];
  const { flat, places, rest } = flatPlaces(x, at);
  return flat.indexSelect(0, places).reshape([...at.shape.slice(0, -1), ...rest]);
}

function scatterPlaces(call: NodeCall): Tensor {
  const [x, at] = [call.tensor(0), call.tensor(1)];
  const { flat, places, rest } = flatPlaces(x, at);
  const name = call.attributes.string("reduction", "none") === "add" ? "aten::index_add" : "aten::index_copy";
  return callTensor(name, [flat, 0, places, call.tensor(2).reshape([-1, ...rest])]).reshape(x.shape);
}

function largest(call: NodeCall): readonly Tensor[] {
  const { attributes } = call;
  const x = call.tensor(0);
  const axis = call.axis(attributes.int("axis", -1), x.rank);
  const count = call.numbers(1)?.[0] ?? attributes.int("k", 1);
  if (count < 0 || count > x.size(axis)) call.refuse(`${count} of ${x.size(axis)} elements`);
  return callTensors("aten::topk", [x, count, axis, attributes.int("largest", 1) === 1, true]);
}

function slice(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const starts = call.list(1, "starts") ?? call.refuse("it has no starts");
  const ends = call.list(2, "ends") ?? call.refuse("it has no ends");
  const axes = call.list(3, "axes") ?? starts.map((_, i) => i);
  const steps = call.numbers(4) ?? starts.map(() => 1);
  let y = callTensor("aten::alias", [x]);
  axes.forEach((given, i) => {
    const axis = call.axis(given, x.rank);
    const size = y.size(axis);
    const step = steps[i] ?? 1;
    if (step === 0) call.refuse("a step of 0");
    const bound = (at: number, least: number, most: number): number =>
      Math.max(least, Math.min(most, at < 0 ? at + size : at));
    if (step > 0) {
      const begin = bound(starts[i] ?? 0, 0, size);
      y = callTensor("aten::slice.Tensor", [y, axis, begin, Math.max(begin, bound(ends[i] ?? size, 0, size)), step]);
      return;
    }
    const begin = bound(starts[i] ?? 0, -1, size - 1);
    const end = bound(ends[i] ?? 0, -1, size - 1);
    const indices: number[] = [];
    for (let at = begin; at > end; at += step) indices.push(at);
    y = picked(call, y, axis, indices);
  });
  return y;
}

function pad(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const given = call.list(1, "pads") ?? call.refuse("it has no pads");
  const axes = call.numbers(3)?.map((axis) => call.axis(axis, x.rank)) ?? x.shape.map((_, i) => i);
  if (given.length !== 2 * axes.length) call.refuse(`${given.length} pads for ${axes.length} axes`);
  const pads = x.shape.map((_, dim) => {
    const place = axes.indexOf(dim);
    return place < 0 ? ([0, 0] as const) : ([given[place] ?? 0, given[place + axes.length] ?? 0] as const);
  });
  mostNumbers(
    call,
    x.shape.map((size, i) => size + (pads[i]?.[0] ?? 0) + (pads[i]?.[1] ?? 0)),
  );
  const mode = call.attributes.string("mode", "constant");
  if (mode === "constant") return padded(x, pads, call.numbers(2)?.[0] ?? call.attributes.float("value", 0));
  const at = source(call, mode);
  return pads.reduce(
    (y: Tensor, [before, after], dim) => {
      const size = x.size(dim);
      if (before === 0 && after === 0) return y;
      const indices = Array.from({ length: size + before + after }, (_, i) => at(i - before, size));
      return picked(call, y, dim, indices);
    },
    callTensor("aten::alias", [x]),
  );
}

/** Which entry stands at a place outside. */
function source(call: NodeCall, mode: string): (at: number, size: number) => number {
  switch (mode) {
    case "edge":
      return (at, size) => Math.max(0, Math.min(size - 1, at));
    case "wrap":
      return (at, size) => ((at % size) + size) % size;
    case "reflect":
      return (at, size) => {
        const period = Math.max(1, 2 * (size - 1));
        const within = ((at % period) + period) % period;
        return within < size ? within : period - within;
      };
    default:
      return call.refuse(`padding of the kind "${mode}"`);
  }
}

function triangle(call: NodeCall): Tensor {
  const k = call.numbers(1)?.[0] ?? 0;
  return call.attributes.int("upper", 1) === 1 ? call.tensor(0).triu(k) : call.tensor(0).tril(k);
}
