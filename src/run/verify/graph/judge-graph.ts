import { availableParallelism } from "node:os";
import { SeededRandom } from "../../../calibration/seeded-random.js";
import { OutputComparison } from "../../../evaluate/outputs/output-comparison.js";
import { outputKind } from "../../../evaluate/outputs/output-kind.js";
import { roundToHalf } from "../../../format/bits/half.js";
import { GraphRunner } from "../../../network/graph/compute/run-graph.js";
import { GraphNetwork } from "../../../network/index.js";
import { numbersIn, Tensor } from "../../../tensor/index.js";
import type { RequestContext } from "../../engine/serve-requests.js";
import type { VerifyEvent } from "../../events/events.js";
import { GraphFile } from "../../source/graph/graph-file.js";
import type { Disagreement, RuntimeVerdict } from "../certificate.js";
import { findPackage } from "../runtime/find-package.js";
import { askProcess } from "../runtime/runtime-process.js";
import type { GraphAnswer, GraphNumbers, GraphQuestion } from "./graph-process.js";

const packageName = "onnxruntime-node";

/** Fixed inputs that both compute, at least. */
const EXAMPLES = 4;

/**
 * Most relative squared error of outputs between two implementations of one file: codes of activations that lie between two
 * may round to either. A wrong scale or axis costs tenths.
 */
const MOST = 1e-3;

interface Judgement {
  readonly verdict: RuntimeVerdict;
  readonly disagreements: readonly Disagreement[];
}

/** Lets onnxruntime compute a written graph, where it is installed, and compares its outputs with our engine's on the same file. */
export async function judgeGraph(
  path: string,
  {
    project,
    shapes,
    steps = new Map(),
  }: {
    readonly project: string | null;
    readonly shapes: Readonly<Record<string, readonly number[]>>;
    /** Of inputs that ranges are looked up by: the numbers that the tables know. */
    readonly steps?: ReadonlyMap<string, readonly number[]>;
  },
  { emit, signal }: RequestContext<VerifyEvent>,
): Promise<Judgement> {
  const installed = findPackage(packageName, project ?? undefined);
  if (installed === null) {
    return absent(`${packageName} is not installed; npm install ${packageName} in your project adds it`);
  }
  using file = GraphFile.open(path);
  const { graph } = file;
  const typeOf = new Map(graph.inputs.map(({ name, dataType }) => [name, dataType]));
  const isFloat = (dataType: string): boolean => dataType === "float32" || dataType === "float16";
  const isStep = (name: string, dataType: string): boolean => steps.has(name) && dataType === "int64";
  const other = graph.inputs.find(({ name, dataType }) => !isFloat(dataType) && !isStep(name, dataType));
  if (other !== undefined)
    return absent(`its input "${other.name}" is ${other.dataType}, which no fixed numbers stand for`);
  emit({ event: "progress", stage: `running ${path}`, done: 0, total: 0 });
  const network = GraphNetwork.create(graph, shapes);
  const batch = graph.inputs.map(({ shape }) => shape?.[0]).find((size) => typeof size === "number") ?? null;
  const examples = batch === null ? EXAMPLES : batch * Math.ceil(EXAMPLES / batch);
  const random = new SeededRandom(1);
  const inputs: Record<string, GraphNumbers> = {};
  for (const [name, shape] of Object.entries(network.ports(1, 0))) {
    const known = steps.get(name) ?? [];
    const drawn = (): number => (random.uint32() / 2 ** 32) * 2 - 1;
    const data = Float32Array.from(
      { length: examples * numbersIn(shape) },
      // All examples at one step, which every form of the tables takes.
      () => known[Math.floor(known.length / 2)] ?? drawn(),
    );
    const type = typeOf.get(name);
    inputs[name] = {
      // Both are given the same numbers.
      data: type === "float16" ? data.map(roundToHalf) : data,
      shape: [examples, ...shape],
      ...((type === "int64" || type === "float16") && { type }),
    };
  }
  const name = `${packageName} ${installed.version}`;
  const { entry } = installed;
  const question: GraphQuestion = { entry, file: path, inputs, batch, threads: availableParallelism() };
  const theirs = await askProcess<GraphQuestion, GraphAnswer>(
    new URL("./graph-process.js", import.meta.url),
    question,
    signal,
  );
  if ("error" in theirs) {
    const what = `${name} can't run it: ${theirs.error}`;
    return { verdict: absent(what).verdict, disagreements: [{ tensor: "runtime", what }] };
  }
  const [output = ""] = graph.outputs.map((port) => port.name);
  const shape = network.ports(1, network.units.length)[output] ?? [];
  const comparison = new OutputComparison(outputKind(graph, shape));
  compare(graph, inputs, output, theirs, comparison);
  const outputs = comparison.distance;
  const agrees = comparison.isFinite && outputs.relativeError <= MOST;
  return {
    verdict: {
      status: agrees ? "agrees" : "disagrees",
      runtime: name,
      examples,
      outputs,
      note: "onnxruntime computed the graph as it stands, without optimisations. The inputs are random numbers, which say whether both compute the same and nothing of how good the network is",
    },
    disagreements: agrees
      ? []
      : [
          {
            tensor: "outputs",
            what: `relative error ${outputs.relativeError.toPrecision(2)} in ${name}, more than ${MOST}`,
          },
        ],
  };
}

function compare(
  graph: GraphFile["graph"],
  inputs: Readonly<Record<string, GraphNumbers>>,
  output: string,
  { outputs }: GraphAnswer,
  comparison: OutputComparison,
): void {
  using runner = new GraphRunner(graph, { device: "cpu", dtype: "float32" });
  const given = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape, type }]) => [
      name,
      type === "int64" ? Tensor.from(BigInt64Array.from(data, BigInt), shape) : Tensor.from(data, shape),
    ]),
  );
  const ours = runner.run(given);
  const own = ours[output] as Tensor;
  using reference = Tensor.from(outputs[output] ?? new Float32Array(0), own.shape);
  try {
    comparison.add(reference, own);
  } finally {
    for (const tensor of [...Object.values(given), ...Object.values(ours)]) tensor.dispose();
  }
}

function absent(why: string): Judgement {
  return { verdict: { status: "absent", why }, disagreements: [] };
}
