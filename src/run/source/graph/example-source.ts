import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { ArrayExamples } from "../../../calibration/images/array-examples.js";
import { ImageExamples, imageFiles, isImageFile } from "../../../calibration/images/image-examples.js";
import type { Preprocessing } from "../../../calibration/images/preprocessing.js";
import { fileSystemError } from "../../../checkpoint/file-system/file-system-error.js";
import { CalibrationError } from "../../../errors.js";
import type { Graph, GraphExamples } from "../../../network/index.js";
import { noGrad, scope, type Tensor } from "../../../tensor/index.js";
import type { ImageOptions } from "../../options/graph/image-options.js";
import { type ChosenPreprocessing, preprocessingFor } from "./image-preprocessing.js";

/** Examples for a graph that are there and of which some will be read: images, or tensors that were prepared elsewhere. */
export interface ExampleSource {
  readonly kind: "images" | "tensors";
  readonly count: number;
  /** As many show each step of the sampler that makes them; absent where none does. */
  readonly least?: number;
  /** Of one example, by input. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The image files, in the order of the examples; empty for tensors. */
  readonly files: readonly string[];
  /** Null for tensors. */
  readonly preprocessing: ChosenPreprocessing | null;
  /** The file or folder of which there are too few, for errors. */
  readonly where: string;
  /** Reads these, which are numbered from 0 then. */
  load(indices: readonly number[], onDone?: (done: number) => void): Promise<GraphExamples>;
}

const arrayFile = /\.(?:npy|safetensors)$/i;

/**
 * Finds the examples in folders of images, or in one file of tensors. The first image is decoded, so that its shape is known.
 *
 * @param folder of the model, in which its `preprocessor_config.json` may lie
 * @param recorded what images were for the network when it was quantized
 * @throws CalibrationError for paths that hold none, or that do not fit the network; EnvironmentError without a decoder
 */
export async function findExamples(
  graph: Graph,
  paths: readonly string[],
  folder: string,
  options: ImageOptions,
  recorded: Preprocessing | null = null,
): Promise<ExampleSource> {
  const arrays = paths.filter((path) => arrayFile.test(path));
  const [file] = arrays;
  if (file === undefined) return findImages(graph, paths, preprocessingFor(graph, folder, options, recorded));
  if (paths.length > 1) {
    throw new CalibrationError({
      what: "prepared tensors do not go with other examples",
      where: file,
      next: `give ${basename(file)} alone, or folders of images alone`,
    });
  }
  return tensorSource(graph, file);
}

async function findImages(
  graph: Graph,
  paths: readonly string[],
  preprocessing: ChosenPreprocessing,
): Promise<ExampleSource> {
  const input = graph.inputs[0]?.name ?? "";
  const files = (await Promise.all(paths.map(imagesAt))).flat();
  const first = await ImageExamples.read(input, files.slice(0, 1), preprocessing);
  return {
    kind: "images",
    count: files.length,
    shapes: { [input]: first.shape },
    files,
    preprocessing,
    where: paths.join(", "),
    load: (indices, onDone) =>
      ImageExamples.read(
        input,
        indices.map((index) => files[index] ?? ""),
        preprocessing,
        onDone,
      ),
  };
}

async function imagesAt(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileSystemError(error, "the images can't be read", path);
  });
  if (found.isDirectory()) return imageFiles(path);
  if (isImageFile(path)) return [path];
  throw new CalibrationError({
    what: "this is no image (JPEG, PNG, WebP) and no file of tensors (.npy, .safetensors)",
    where: path,
    next: /\.npz$/i.test(path)
      ? "write the array by itself: numpy.save"
      : "give a folder of images, or prepared tensors (.npy, .safetensors)",
  });
}

async function tensorSource(graph: Graph, file: string): Promise<ExampleSource> {
  const inputs = graph.inputs.map(({ name }) => name);
  const all = await ArrayExamples.read(file, inputs);
  return {
    kind: "tensors",
    count: all.count,
    shapes: all.shapes,
    files: [],
    preprocessing: null,
    where: file,
    load: async (indices) => ({
      count: indices.length,
      read: (some) => all.read(some.map((index) => indices[index] ?? 0)),
    }),
  };
}

/** SHA-256 of what a network is given of some examples, in their order. */
export function examplesFingerprint(examples: GraphExamples, count: number): string {
  const hash = createHash("sha256");
  eachInput(examples, count, (name, tensor) => {
    hash.update(`\n${name} ${tensor.dtype} [${tensor.shape.join(", ")}]\n`).update(tensor.toBytes());
  });
  return hash.digest("hex");
}

/**
 * Refuses examples that hold what is no number.
 *
 * @param where they are from
 * @throws CalibrationError
 */
export function requireFiniteExamples(examples: GraphExamples, count: number, where: string): void {
  eachInput(examples, count, (name, tensor) => {
    if (Number.isFinite(tensor.to("float32").sum().item())) return;
    throw new CalibrationError({
      where,
      what: `an example of the input "${name}" holds NaN or an infinity, or is too large for fp32`,
      next: "leave such examples out, or scale them as the network was trained",
    });
  });
}

function eachInput(examples: GraphExamples, count: number, see: (name: string, tensor: Tensor) => void): void {
  for (let i = 0; i < count; i++) {
    noGrad(() =>
      scope(() => {
        for (const [name, tensor] of Object.entries(examples.read([i]))) see(name, tensor);
      }),
    );
  }
}
