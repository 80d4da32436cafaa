// One optimisation step of a window of two blocks against the roof of this machine: the time that the step's own
// matrix products and attention take, each alone. usage: npm run bench:step -- --shape sotu --scheme W2A16g64
// [--rounding code|lora|adaround] [--tokens 2048] [--context 512] [--device cpu] [--dtype float32] [--gradients full|fp8] [--steps 20] [--json]
import { availableParallelism, tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { createPortStore } from "../dist/calibration/port-store.js";
import { causalAttention } from "../dist/network/decoder/block/attention/attention.js";
import { DecoderNetwork, loadUnit, readSpec } from "../dist/network/index.js";
import { searchRange } from "../dist/quant/grid/range.js";
import { TokenQuantizer } from "../dist/quant/input/activation.js";
import { parseScheme } from "../dist/quant/scheme.js";
import { CodeUnitRounding } from "../dist/quant/weight-path/code-unit-rounding.js";
import { adaRound, loraRounding } from "../dist/quant/weight-path/soft-rounding.js";
import { resolveRecipeOptions } from "../dist/recipe/options/resolve-recipe-options.js";
import { advance } from "../dist/reconstruct/advance.js";
import { reconstructionError } from "../dist/reconstruct/objective/objective.js";
import { QuantizedLayer } from "../dist/reconstruct/quantized-layer.js";
import { QuantizedUnit } from "../dist/reconstruct/quantized-unit.js";
import { overTargets, reconstruct } from "../dist/reconstruct/reconstruct.js";
import { SequenceParts } from "../dist/reconstruct/sequence-parts.js";
import {
  backward,
  DeviceGraph,
  deviceMemory,
  engineInfo,
  keep,
  manualSeed,
  noGrad,
  scope,
  synchronize,
  Tensor,
  useOwnStream,
} from "../dist/tensor/index.js";
import { configOf } from "./shapes.mjs";

const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "sotu" },
    scheme: { type: "string", default: "W2A16g64" },
    rounding: { type: "string", default: "code" },
    tokens: { type: "string", default: "2048" },
    context: { type: "string", default: "512" },
    device: { type: "string", default: "cpu" },
    dtype: { type: "string", default: "float32" },
    gradients: { type: "string", default: "full" },
    steps: { type: "string", default: "20" },
    json: { type: "boolean", default: false },
  },
});
const { device, dtype } = values;
const [tokens, steps] = [Number(values.tokens), Number(values.steps)];
const context = Math.min(Number(values.context), tokens);
const sequences = tokens / context;
if (!Number.isInteger(sequences)) throw new Error("--tokens is a multiple of --context");

useOwnStream(device);
const warmUp = 5;
const BLOCKS = 2;
manualSeed(0);
const shape = configOf(values.shape, BLOCKS, 32);
const spec = readSpec(shape);
const scheme = parseScheme(values.scheme);
const roundings = {
  code: (weight, grid) => new CodeUnitRounding(weight, grid),
  lora: (weight, grid) => loraRounding(weight, grid, 5),
  adaround: (weight, grid) => adaRound(weight, grid),
};
const network = new DecoderNetwork(spec);
const running = network.open({ device, dtype, length: context });
const random = (_name, size) =>
  keep(scope(() => (size.length === 1 ? Tensor.ones(size, { device }) : Tensor.randn(size, { device }).mul(0.02))));
const blocks = network.units.map((unit) => {
  const layers = new Map(
    unit.layers.map(({ name, module }) => {
      const layer = new QuantizedLayer(module, scheme, dtype, values.gradients);
      if (scheme.activationBits < 16) layer.quantizeInput(new TokenQuantizer(scheme.activationBits, device, {}));
      return [name, layer];
    }),
  );
  const block = new QuantizedUnit(unit, running, loadUnit(random, unit), layers);
  for (const [name, layer] of layers) {
    const { weight } = block.weights.layers.get(name);
    const rounding = scope(() => {
      const grid = searchRange(weight, scheme, layer.name, { candidates: 4 });
      // As the recipe keeps it: a device's kernels read the operand's dtype.
      return roundings[values.rounding](device === "cpu" ? weight : weight.to(dtype), grid);
    });
    layer.learn(rounding);
  }
  block.castWeights(dtype);
  // As with a checkpoint in the products' dtype.
  block.dropExactWeights();
  return block;
});
// Several batches to an epoch, as a run has them.
const BATCHES = device === "cpu" ? 1 : 16;
const storeShape = { sequences: sequences * BATCHES, tokens: context, ports: network.ports(context) };
const place = { dtype, device, scratch: tmpdir() };
const input = createPortStore(storeShape, "device", place);
const target = createPortStore(storeShape, "device", place);
for (let i = 0; i < BATCHES; i++) {
  const some = () => Tensor.randn([sequences, context, shape.hidden_size], { device }).to(dtype);
  noGrad(() => scope(() => input.write(i * sequences, { x: some() })));
}
const parts = new SequenceParts(sequences, () => {});
advance(input, target, parts, (x) => blocks.reduce((hidden, block) => block.forwardFull(hidden), x));

const wait = () => device !== "cpu" && synchronize(device);
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
const options = resolveRecipeOptions();
const run = reconstruct(blocks, input, [target], {
  epochs: Math.ceil((steps + warmUp) / BATCHES) + (device === "cpu" ? 0 : 3),
  batch: sequences,
  parts,
  seed: 0,
  loss: overTargets((target, actual) => reconstructionError(target, actual, options.window.loss)),
  rates: { ...options.rates, input: options.rates.activation },
  finalRate: 1,
  penalty: options.rounding.regulariser,
});
// A device reports several steps at once, after the last of them: each counts as the mean of those it came with.
const times = [];
for (let before = performance.now(), waiting = 0; !run.next().done; ) {
  waiting++;
  const now = performance.now();
  if (device !== "cpu" && now - before < 1) continue;
  for (let i = 0; i < waiting; i++) times.push((now - before) / waiting);
  [before, waiting] = [now, 0];
}
const step = median(times.slice(warmUp));
const peak = device === "cpu" ? null : (deviceMemory(device)?.peak ?? 0);

// The time of one call, launches not counted on a device: what is measured there is a recording of many.
const alone = (body) => {
  if (device !== "cpu") return recorded(() => scope(body));
  const taken = [];
  for (let i = 0; i < steps + warmUp; i++) {
    const before = performance.now();
    scope(body);
    taken.push(performance.now() - before);
  }
  return median(taken.slice(warmUp));
};
const recorded = (body) => {
  const repeated = 10;
  body();
  const graph = DeviceGraph.record(device, () => {
    for (let i = 0; i < repeated; i++) body();
  });
  const taken = [];
  for (let i = 0; i < 9; i++) {
    wait();
    const before = performance.now();
    graph.replay();
    wait();
    taken.push((performance.now() - before) / repeated);
  }
  graph.dispose();
  return median(taken);
};
// Per Linear: its output, the gradient of its input, the gradient of its weight.
const products = (out, columns) =>
  scope(() => {
    const [x, w, g] = [
      [tokens, columns],
      [out, columns],
      [tokens, out],
    ].map((size) => Tensor.randn(size, { device }).to(dtype));
    return noGrad(
      () =>
        alone(() => void x.linear(w, null)) +
        alone(() => void g.matmul(w)) +
        alone(() => void g.transpose(0, 1).matmul(x)),
    );
  });
const { heads, kvHeads, headDim, slidingWindow } = spec.blocks[0].attention;
const linears = network.units[0].layers.map(({ rows, columns }) => [rows, columns]);
const attention = scope(() => {
  const make = (count) => Tensor.randn([sequences, count, context, headDim], { device }).to(dtype).requiresGrad_();
  const [q, k, v] = [make(heads), make(kvHeads), make(kvHeads)];
  const seed = Tensor.randn(q.shape, { device }).to(dtype);
  return alone(() => {
    backward([causalAttention({ q, k, v, slidingWindow })], [seed]);
    for (const x of [q, k, v]) x.clearGrad();
  });
});
const roof = BLOCKS * (linears.reduce((sum, [out, columns]) => sum + products(out, columns), 0) + attention);
const facts = engineInfo();
const report = {
  shape: values.shape,
  scheme: values.scheme,
  rounding: values.rounding,
  tokens,
  dtype,
  device: device === "cpu" ? `cpu, ${facts.threads} of ${availableParallelism()} threads` : facts.devices[0]?.name,
  torch: facts.torchVersion,
  stepMs: +step.toFixed(2),
  roofMs: +roof.toFixed(2),
  ofRoof: `${((100 * roof) / step).toFixed(0)} %`,
  tokensPerSecond: Math.round((1000 * tokens) / step),
  devicePeakGiB: device === "cpu" ? null : +(peak / 2 ** 30).toFixed(2),
  hostPeakGiB: +(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2),
};
if (values.json) console.log(JSON.stringify(report));
else for (const [name, value] of Object.entries(report)) if (value !== null) console.log(`${name.padEnd(16)} ${value}`);
