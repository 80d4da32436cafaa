import { createHash } from "node:crypto";
import type { PortStore } from "../../../../calibration/port-store.js";
import { sequencesFingerprint } from "../../../../calibration/token-sequences.js";
import { OutputComparison } from "../../../../evaluate/outputs/output-comparison.js";
import { outputKind } from "../../../../evaluate/outputs/output-kind.js";
import type { RecipeJob } from "../../../../recipe/job/recipe-job.js";
import { baseline } from "../../../../recipe/job/recipe-names.js";
import { chooseStorage, largestShape } from "../../../../recipe/state/streams.js";
import { scope, type Tensor } from "../../../../tensor/index.js";
import { withPassedStreams } from "../../../quality/pass-networks.js";
import { type Scored, scoreOnce } from "../../../quality/score-once.js";
import type { OutputsQuality } from "../../../result/result-quality.js";
import type { FinishedRun, QuantizeContext, SubjectRun } from "../subject.js";
import type { GraphModel } from "./graph-model.js";

/** Examples that pass a unit at once. */
const AT_ONCE = 8;

/** Compares the outputs of the source, of what a run made of it, and of round to nearest, on examples that were held out. */
export async function scoreGraph(
  subject: GraphModel,
  { options }: SubjectRun,
  job: RecipeJob,
  { calibration, identity, results, work }: FinishedRun,
  context: QuantizeContext,
): Promise<Scored> {
  const isNearest = options.recipe === baseline;
  const heldOut = calibration?.heldOut ?? null;
  const why = (): string => {
    if (!options.score) return "it was left out (--no-score)";
    if (calibration === null) return "no examples were given";
    return "all of the examples were calibrated on: more of them leave a part to score";
  };
  const score = (tell: (done: number, total: number) => void): OutputsQuality | string => {
    if (heldOut === null) return why();
    const started = performance.now();
    const quantized = { ...job, tokens: heldOut, resume: null };
    const storage = chooseStorage({ ...job, storage: "auto" }, largestShape(job, heldOut), isNearest ? 2 : 3);
    const networks = {
      ...{ source: quantized, quantized, results, storage },
      roundToNearest: !isNearest,
      sequencesAtOnce: AT_ONCE,
    };
    const [{ name = "" } = {}] = subject.graph.outputs;
    const kind = outputKind(subject.graph, subject.network.ports(1, subject.network.units.length)[name] ?? []);
    const compared = (outputs: PortStore, reference: PortStore): OutputComparison => {
      const comparison = new OutputComparison(kind);
      for (let i = 0; i < heldOut.sequences; i++) {
        context.poll();
        scope(() => {
          const of = (stream: PortStore): Tensor => stream.read([i])[name] as Tensor;
          comparison.add(of(outputs), of(reference));
        });
      }
      return comparison;
    };
    return withPassedStreams(networks, heldOut, tell, ({ full, result, nearest }) => {
      const ours = compared(result, full);
      if (!ours.isFinite) return "outputs are no numbers: values overflow, or weights or scales are broken";
      const rounded = isNearest ? ours : nearest === null ? null : compared(nearest, full);
      return {
        examples: `${subject.exampleSource?.kind === "images" ? "images" : "examples"} that nothing was calibrated on`,
        count: heldOut.sequences,
        result: ours.distance,
        roundToNearest: rounded?.isFinite === true ? rounded.distance : null,
        seconds: (performance.now() - started) / 1000,
      };
    });
  };
  const key = createHash("sha256")
    .update(JSON.stringify({ identity, examples: heldOut === null ? null : sequencesFingerprint(heldOut) }))
    .digest("hex");
  return scoreOnce(
    {
      work,
      key,
      score: options.score && heldOut !== null ? score : why(),
      write: "a graph writes no texts",
    },
    context,
  );
}
