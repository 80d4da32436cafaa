// The Frechet distance between two sets of images in the features of a classifier: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
import { OnnxContent } from "../../dist/checkpoint/onnx/onnx-content.js";
import { checkpointSource, GraphNetwork, GraphTensors, loadUnit, readGraph } from "../../dist/network/index.js";
import { callTensors, noGrad, scope, Tensor } from "../../dist/tensor/index.js";

/** What the last layer of a classifier reads of images: `[count, features]`. */
export class ClassifierFeatures {
  #content;
  #network;
  #open;
  #weights;

  #device;

  constructor(file, device = "cpu") {
    this.#device = device;
    this.#content = OnnxContent.open(file);
    this.#network = GraphNetwork.create(readGraph(this.#content));
    const at = { device, dtype: "float32" };
    const source = checkpointSource(new GraphTensors(this.#network.cut), at);
    this.#open = this.#network.open({ ...at, length: 1 });
    this.#weights = this.#network.units.map((unit) => loadUnit(source, unit));
  }

  /** @param values `[count, ...shape]` @param batch images at once @returns the features, row by row, and the classes */
  of(values, shape, batch = 128) {
    const size = shape.reduce((product, each) => product * each, 1);
    const count = values.length / size;
    const [input] = this.#network.cut.graph.inputs;
    const last = this.#network.units.flatMap(({ layers }) => layers).at(-1).name;
    const features = [];
    const classes = [];
    for (let first = 0; first < count; first += batch) {
      const n = Math.min(batch, count - first);
      noGrad(() =>
        scope(() => {
          let x = {
            [input.name]: Tensor.from(values.slice(first * size, (first + n) * size), [n, ...shape]).to(this.#device),
          };
          for (const [i, unit] of this.#network.units.entries()) {
            x = this.#open.run(unit, this.#weights[i], x, {
              observe: (layer, given) => {
                if (layer === last) features.push(given.reshape([n, -1]).toFloat32Array().slice());
              },
            });
          }
          classes.push(...Array.from(x[this.#network.cut.graph.outputs[0].name].argmax(1).toArray(), Number));
        }),
      );
    }
    const width = features[0].length / Math.min(batch, count);
    return { width, rows: Float32Array.from(features.flatMap((each) => [...each])), classes };
  }
}

/** @param a features of one set, and of another */
export function frechetDistance(a, b) {
  return noGrad(() =>
    scope(() => {
      const [m1, c1] = moments(a);
      const [m2, c2] = moments(b);
      const root = symmetricRoot(c1);
      const middle = symmetricRoot(root.matmul(c2).matmul(root));
      const trace = (matrix) => matrix.mul(eye(matrix.size(0))).sum();
      return m1.sub(m2).square().sum().add(trace(c1)).add(trace(c2)).sub(trace(middle).mul(2)).item();
    }),
  );
}

function moments({ rows, width }) {
  const x = Tensor.from(rows, [rows.length / width, width]).to("float64");
  const mean = x.mean(0);
  const centred = x.sub(mean);
  return [
    mean,
    centred
      .transpose(0, 1)
      .matmul(centred)
      .div(x.size(0) - 1),
  ];
}

function symmetricRoot(matrix) {
  const [values, vectors] = callTensors("aten::linalg_eigh", [matrix, "L"]);
  return vectors.mul(values.clamp(0).sqrt()).matmul(vectors.transpose(0, 1));
}

function eye(size) {
  return Tensor.from(
    Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0)),
    [size, size],
  ).to("float64");
}
