import { constantTensor, type Graph, type GraphConstant, type GraphNode } from "../../network/index.js";
import { noGrad, scope, type Tensor } from "../../tensor/index.js";

/** A graph after folding, and what became of its norms. */
export interface FoldedGraph {
  readonly graph: Graph;
  /** Names of norms that their convolution has taken over. */
  readonly folded: readonly string[];
  /** Of those that stay: what is before them is no convolution, or others read it too. */
  readonly kept: readonly string[];
}

/** A convolution and the norm that alone reads it. */
interface Pair {
  readonly conv: GraphNode;
  readonly norm: GraphNode;
}

/**
 * Folds every BatchNormalization that directly follows a Conv into its weight and bias, which changes the graph's results by
 * no more than rounding:
 *
 *   W' = W g / sqrt(v + eps)    b' = (b - m) g / sqrt(v + eps) + s
 *
 * with gains `g`, shifts `s`, means `m` and variances `v` by output channel. Computed in fp64. A weight that two nodes share
 * stays, and so does its norm.
 */
export function foldBatchNorms(graph: Graph): FoldedGraph {
  const pairs = new Map<GraphNode, Pair>();
  const kept: string[] = [];
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const uses = new Map<string, number>();
  const used = [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of used) uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const norm of graph.nodes) {
    if (norm.operator !== "BatchNormalization") continue;
    const conv = makers.get(norm.inputs[0] ?? "");
    const folds =
      conv?.operator === "Conv" &&
      uses.get(conv.outputs[0] ?? "") === 1 &&
      [conv.inputs[1], ...norm.inputs.slice(1), ...bias(conv)].every((name) => graph.constants.has(name ?? "")) &&
      uses.get(conv.inputs[1] ?? "") === 1;
    if (folds) pairs.set(conv, { conv, norm });
    else kept.push(norm.name);
  }
  const gone = new Set([...pairs.values()].map(({ norm }) => norm));
  const constants = new Map(graph.constants);
  const nodes = graph.nodes
    .filter((node) => !gone.has(node))
    .map((node, index): GraphNode => {
      const pair = pairs.get(node);
      if (pair === undefined) return { ...node, index };
      const [weight, shift] = foldedConstants(graph, pair, (name) => constants.has(name));
      constants.set(weight.name, weight).set(shift.name, shift);
      const inputs = [node.inputs[0] ?? "", weight.name, shift.name];
      return { ...node, index, inputs, outputs: [pair.norm.outputs[0] ?? ""] };
    });
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const { norm } of pairs.values()) for (const name of norm.inputs) if (!read.has(name)) constants.delete(name);
  return { graph: { ...graph, nodes, constants }, folded: [...gone].map(({ name }) => name), kept };
}

function bias({ inputs }: GraphNode): readonly string[] {
  const name = inputs[2] ?? "";
  return name === "" ? [] : [name];
}

function foldedConstants(
  graph: Graph,
  { conv, norm }: Pair,
  taken: (name: string) => boolean,
): readonly [weight: GraphConstant, bias: GraphConstant] {
  const constant = (name: string | undefined): GraphConstant => {
    const found = graph.constants.get(name ?? "");
    if (found === undefined) throw new TypeError(`the graph has no constant "${name}"`);
    return found;
  };
  const wide = (name: string | undefined): Tensor => constantTensor(constant(name)).to("float64");
  const weight = constant(conv.inputs[1]);
  const [, gain, shift, mean, variance] = norm.inputs;
  const epsilon = norm.attributes.float("epsilon", 1e-5);
  const factor = (): Tensor => wide(gain).div(wide(variance).add(epsilon).sqrt());
  const [own] = bias(conv);
  const made = (name: string, shape: readonly number[], make: () => Tensor): GraphConstant => ({
    name,
    dataType: "float32",
    shape,
    bytes: () => noGrad(() => scope(() => make().to("float32").contiguous().toBytes())),
  });
  const rows = weight.shape[0] ?? 0;
  return [
    made(weight.name, weight.shape, () =>
      wide(weight.name).mul(factor().reshape([-1, ...weight.shape.slice(1).map(() => 1)])),
    ),
    made(biasName(own, weight.name, taken), [rows], () => {
      const centred = own === undefined ? wide(mean).neg() : wide(own).sub(wide(mean));
      return centred.mul(factor()).add(wide(shift));
    }),
  ];
}

// A bias that others read keeps its numbers: the folded one has a name of its own.
function biasName(own: string | undefined, weight: string, taken: (name: string) => boolean): string {
  const wanted = own ?? `${weight.replace(/\.weight$/, "")}.bias`;
  let free = `${wanted}.folded`;
  for (let i = 2; taken(free); i++) free = `${wanted}.folded.${i}`;
  return free;
}
