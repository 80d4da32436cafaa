import { ModelError } from "../../../errors.js";
import { type Device, type DType, keep, noGrad, scope, type Tensor } from "../../../tensor/index.js";
import type { Graph } from "../graph.js";
import { operators } from "../operators/index.js";
import { constantTensor, isSmall } from "./constant-tensor.js";
import { GraphContext, runNodes, type Value } from "./run-nodes.js";

/** A whole graph in memory, in full precision. */
export class GraphRunner implements Disposable {
  readonly #context: GraphContext;
  readonly #constants = new Map<string, Value>();

  constructor(
    readonly graph: Graph,
    to: { readonly device: Device; readonly dtype: DType },
  ) {
    this.#context = new GraphContext(graph, to.device, to.dtype);
    try {
      for (const [name, value] of constantsOf(graph, to)) this.#constants.set(name, value);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * The outputs of these inputs, by name. The caller owns them.
   *
   * @throws ModelError for an input that is missing, or where sizes do not fit
   */
  run(inputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>> {
    const { graph } = this;
    return noGrad(() =>
      scope(() => {
        const values = new Map(this.#constants);
        for (const { name } of graph.inputs) {
          const tensor = inputs[name];
          if (tensor === undefined) throw missingInput(graph, name);
          values.set(name, { tensor, host: false });
        }
        const wanted = new Set(graph.outputs.map(({ name }) => name));
        runNodes(this.#context, graph.nodes, values, wanted);
        return Object.fromEntries([...wanted].map((name) => [name, (values.get(name) as Value).tensor]));
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]();
    for (const { tensor } of this.#constants.values()) tensor.dispose();
    this.#constants.clear();
  }
}

/**
 * The constants of a graph, owned by the caller: small ones and what is read as numbers on the host, others on the device.
 *
 * @param leftOut those that the caller has otherwise
 */
export function* constantsOf(
  graph: Graph,
  { device, dtype }: { readonly device: Device; readonly dtype: DType },
  leftOut: ReadonlySet<string> = new Set(),
): Generator<[string, Value]> {
  const numbers = new Set(
    graph.nodes.flatMap(({ operator, inputs }) =>
      (operators.get(operator)?.settings ?? []).map((at) => inputs[at] ?? ""),
    ),
  );
  for (const [name, constant] of graph.constants) {
    if (leftOut.has(name)) continue;
    const stored = keep(constantTensor(constant));
    if (numbers.has(name) || isSmall(constant) || stored.dtype !== "float32") {
      yield [name, { tensor: stored, host: true, constant: true }];
      continue;
    }
    const moved = keep(noGrad(() => scope(() => stored.to(dtype).to(device))));
    stored.dispose();
    yield [name, { tensor: moved, host: false, constant: true }];
  }
}

function missingInput({ file, inputs }: Graph, name: string): ModelError {
  return new ModelError({
    what: `nothing is given for its input "${name}"`,
    where: file,
    next: `give ${inputs.map((each) => `"${each.name}"`).join(", ")}`,
  });
}
