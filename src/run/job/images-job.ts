import { dirname } from "node:path";
import { ModelError, OptionError } from "../../errors.js";
import { ClassAccuracy } from "../../evaluate/outputs/class-accuracy.js";
import { OutputComparison } from "../../evaluate/outputs/output-comparison.js";
import { outputKind } from "../../evaluate/outputs/output-kind.js";
import { GraphRunner } from "../../network/graph/compute/run-graph.js";
import type { Graph, GraphExamples } from "../../network/index.js";
import { type Device, noGrad, scope, Tensor } from "../../tensor/index.js";
import type { EngineCalls } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { ImagesEvent, WorkEvent } from "../events/events.js";
import { pacedProgress } from "../events/paced-progress.js";
import { resolveDevice } from "../machine/device.js";
import { assumedPreprocessing } from "../source/graph/assumed-preprocessing.js";
import { type ExampleSource, findExamples } from "../source/graph/example-source.js";
import { GraphFile } from "../source/graph/graph-file.js";
import { graphAt } from "../source/graph/graph-place.js";
import { preprocessingText } from "../source/graph/image-preprocessing.js";
import { type Labels, labelsOfFolders, readLabels } from "../source/graph/labels.js";
import { requireInputs } from "./subject/graph/require-inputs.js";

/** Images that are decoded, and that pass the network, at once. */
const AT_ONCE = 16;

/** What an ONNX network makes of images: how often it is right where classes are known, and how far it is from a reference. */
export async function imagesJob(
  { model, images, labels: labelFile, reference, limit, options, device: named }: EngineCalls["images"]["parameters"],
  context: RequestContext<WorkEvent>,
): Promise<ImagesEvent> {
  const device = resolveDevice(named);
  const place = await graphAt(model);
  using file = GraphFile.open(place.file);
  const { graph } = file;
  const source = await findExamples(graph, images, dirname(place.file), options, place.images);
  requireInputs(graph, source, "give examples as the network takes them (images.crop, images.layout)");
  const assumed = assumedPreprocessing(source, place.file);
  if (assumed !== null) context.emit(assumed);
  const labels = labelFile === null ? labelsOfFolders(source, images) : await readLabels(labelFile, source, images);
  if (labels === null && reference === null) throw nothingToCompare(source);
  const count = Math.min(source.count, limit ?? source.count);
  using ours = new GraphRunner(graph, { device, dtype: "float32" });
  const shape = outputShape(ours, source, device);
  const kind = outputKind(graph, shape);
  const classes = shape.reduce((product, size) => product * size, 1);
  if (labels !== null) requireClasses(labels, kind, classes, place.file);
  const other = reference === null ? null : await graphAt(reference);
  using second = other === null ? null : GraphFile.open(other.file);
  using theirs = second === null ? null : new GraphRunner(second.graph, { device, dtype: "float32" });
  if (second !== null && theirs !== null) {
    requireInputs(
      second.graph,
      source,
      "give the network that was quantized as the reference, or an export of it that takes the same inputs",
    );
    requireSameOutput(second, outputShape(theirs, source, device), shape, file);
  }
  const accuracy = labels === null ? null : new ClassAccuracy();
  const referenceAccuracy = labels === null || theirs === null ? null : new ClassAccuracy();
  const compared = theirs === null ? null : new OutputComparison(kind);
  const progress = pacedProgress(context.emit, "evaluating");
  const atOnce = fixedBatch(graph, second?.graph ?? null) ?? AT_ONCE;
  for (let start = 0; start < count; start += atOnce) {
    context.poll();
    progress(start, count);
    const indices = Array.from({ length: Math.min(atOnce, count - start) }, (_, i) => start + i);
    const examples = await source.load(indices);
    noGrad(() =>
      scope(() => {
        const y = outputs(ours, examples, indices.length, device);
        const known = labels === null ? null : indices.map((index) => labels.classes[index] ?? 0);
        if (known !== null) accuracy?.add(y, known);
        if (theirs === null) return;
        const z = outputs(theirs, examples, indices.length, device);
        compared?.add(y, z);
        if (known !== null) referenceAccuracy?.add(z, known);
      }),
    );
  }
  if (compared?.isFinite === false) throw notFinite(place.file);
  return {
    event: "images",
    images: count,
    ofImages: source.count,
    preprocessing: source.preprocessing === null ? null : preprocessingText(source.preprocessing),
    labels: labels?.from ?? null,
    accuracy: accuracy?.value ?? null,
    reference:
      compared === null || reference === null
        ? null
        : { model: reference, ...compared.distance, accuracy: referenceAccuracy?.value ?? null },
  };
}

function outputs(runner: GraphRunner, examples: GraphExamples, count: number, device: Device): Tensor {
  const read = examples.read(Array.from({ length: count }, (_, i) => i));
  const given = Object.values(read);
  const named = runner.graph.inputs.map(({ name }, i) => [name, (read[name] ?? given[i])?.to(device)] as const);
  const found = runner.run(Object.fromEntries(named.filter((each): each is [string, Tensor] => each[1] !== undefined)));
  return found[runner.graph.outputs[0]?.name ?? ""] as Tensor;
}

// Networks that were made for one size of batch are given that.
function fixedBatch(...graphs: readonly (Graph | null)[]): number | null {
  const sizes = graphs.flatMap((graph) => graph?.inputs.map(({ shape }) => shape?.[0]) ?? []);
  return sizes.find((size) => typeof size === "number") ?? null;
}

// What it gives of an example, found by computing zeros.
function outputShape(runner: GraphRunner, { shapes }: ExampleSource, device: Device): readonly number[] {
  const { graph } = runner;
  const batch = fixedBatch(graph) ?? 1;
  const given = Object.values(shapes);
  return noGrad(() =>
    scope(() => {
      const zeros = graph.inputs.map(({ name, dataType }, i) => {
        const whole = dataType === "int64" || dataType === "int32";
        const size = [batch, ...(shapes[name] ?? given[i] ?? [])];
        return [name, Tensor.zeros(size, { device, dtype: whole ? dataType : "float32" })] as const;
      });
      const [port] = graph.outputs;
      const { shape } = runner.run(Object.fromEntries(zeros))[port?.name ?? ""] as Tensor;
      if (shape[0] === batch) return shape.slice(1);
      throw new ModelError({
        where: `${graph.file}, output "${port?.name}"`,
        what: `is [${shape.join(", ")}] for ${batch} examples, and a row for each is compared`,
        next: "export the network with the batch as the first dimension of its output",
      });
    }),
  );
}

function requireClasses(labels: Labels, kind: string, classes: number, file: string): void {
  const largest = labels.classes.reduce((most, label) => Math.max(most, label), 0);
  if (kind !== "values" && largest < classes) return;
  throw new ModelError({
    where: file,
    what:
      kind === "values"
        ? "its output is no list of classes, and classes of images are given"
        : `it tells ${classes} classes, and an image is of class ${largest} (counted from 0)`,
    next: "compare it with another network (--reference) on images that lie in one folder, or give its own labels (--labels FILE)",
  });
}

function requireSameOutput(
  other: GraphFile,
  its: readonly number[],
  shape: readonly number[],
  { path }: GraphFile,
): void {
  if (its.join() === shape.join()) return;
  throw new ModelError({
    where: other.path,
    what: `its output is [${its.join(", ")}], and that of ${path} [${shape.join(", ")}]`,
    next: "give the network that was quantized as the reference",
  });
}

function nothingToCompare({ where }: ExampleSource): OptionError {
  return new OptionError({
    where,
    what: "no classes are known of these examples, and there is no reference",
    next: "give --labels FILE, a folder for each class, or --reference MODEL.onnx",
  });
}

function notFinite(file: string): ModelError {
  return new ModelError({
    where: file,
    what: "its outputs are no numbers, or those of the reference",
    why: "values overflow, or weights or scales are broken",
    next: "check both files: crossblock inspect FILE",
  });
}
