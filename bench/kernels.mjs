// Time and memory throughput of each CUDA kernel of our own, as a GPU replays it: 10 calls to a recording, median of 7.
// usage: npm run bench:kernels [-- cuda:0]
import {
  callInPlace,
  callTensor,
  callTensors,
  DeviceGraph,
  dtypeCode,
  noGrad,
  scope,
  synchronize,
  Tensor,
  useOwnStream,
} from "../dist/tensor/index.js";

const device = process.argv[2] ?? "cuda:0";
useOwnStream(device);
const bfloat16 = dtypeCode("bfloat16");
const CALLS = 10;

function microseconds(body) {
  noGrad(() => scope(body));
  const graph = DeviceGraph.record(device, () => {
    for (let i = 0; i < CALLS; i++) noGrad(() => scope(body));
  });
  const taken = Array.from({ length: 7 }, () => {
    synchronize(device);
    const before = performance.now();
    graph.replay();
    synchronize(device);
    return ((performance.now() - before) / CALLS) * 1000;
  });
  graph.dispose();
  return taken.sort((a, b) => a - b)[3];
}

function report(name, bytes, body) {
  const time = microseconds(body);
  console.log(
    `${name.padEnd(44)} ${time.toFixed(1).padStart(9)} us ${(bytes / time / 1e6).toFixed(2).padStart(6)} TB/s`,
  );
}

const random = (shape, dtype = "bfloat16") => Tensor.randn(shape, { device }).mul(0.05).to(dtype);

for (const [rows, columns, group] of [
  ...[
    [4096, 4096, 4096],
    [11008, 4096, 4096],
    [4096, 11008, 11008],
    [8192, 22016, 22016],
    [4096, 4096, 64],
  ],
  ...[
    [576, 576, 576],
    [1536, 576, 576],
    [576, 1536, 1536],
  ],
]) {
  scope(() => {
    const [groups, size] = [columns / group, rows * columns];
    const [weight, gradient] = [random([rows, groups, group]), random([rows, groups, group])];
    const scale = Tensor.full([rows, groups, 1], 0.01, { device });
    const zeroPoint = Tensor.full([rows, groups, 1], 8, { device });
    const [left, right] = [random([rows, 5], "float32"), random([5, columns], "float32")];
    const offset = random([rows, groups, group], "float32");
    const roundingPenalty = Tensor.from(Float32Array.of(0.01, 10)).to(device);
    const soft = [weight, scale, right, left, scale, zeroPoint, 4];
    const code = [weight, offset, scale, zeroPoint, 4];
    const place = `${rows} x ${columns}, groups of ${group}`;
    report(`LoRA forward ${place}`, size * 4, () => callTensor("crossblock::soft_round", [...soft, bfloat16]));
    report(`LoRA backward ${place}`, size * 4, () =>
      callTensors("crossblock::soft_round_backward", [gradient, ...soft, roundingPenalty]),
    );
    report(`code-unit forward ${place}`, size * 8, () =>
      callTensor("crossblock::code_unit_round", [...code, bfloat16]),
    );
    report(`code-unit backward ${place}`, size * 12, () =>
      callTensors("crossblock::code_unit_round_backward", [gradient, ...code]),
    );
  });
}

for (const [time, hidden, inner] of [
  [2048, 4096, 11008],
  [2048, 576, 1536],
]) {
  scope(() => {
    const size = time * hidden;
    const [x, gradient, gain] = [random([1, time, hidden]), random([1, time, hidden]), random([hidden])];
    const [gate, up] = [random([1, time, inner]), random([1, time, inner])];
    const [clip, inverse] = [Tensor.ones([1], { device }), Tensor.ones([time], { device })];
    const place = `${time} x ${hidden}`;
    report(`inputs forward ${place}`, size * 4, () => callTensor("crossblock::token_round", [x, clip, 4]));
    report(`inputs backward ${place}`, size * 6, () =>
      callTensors("crossblock::token_round_backward", [gradient, x, clip, 4]),
    );
    report(`RMS norm forward ${place}`, size * 4, () => callTensors("crossblock::rms_norm", [x, gain, 1e-5]));
    report(`RMS norm backward ${place}`, size * 6, () =>
      callTensor("crossblock::rms_norm_backward", [gradient, x, gain, inverse]),
    );
    report(`SwiGLU forward ${time} x ${inner}`, time * inner * 6, () =>
      callTensor("crossblock::silu_product", [gate, up]),
    );
    report(`SwiGLU backward ${time} x ${inner}`, time * inner * 10, () =>
      callTensors("crossblock::silu_product_backward", [up, gate, up]),
    );
    report(`loss ${place}`, size * 4, () => callTensors("crossblock::token_error", [x, gradient]));
    const heads = x.reshape([1, time, hidden / 64, 64]).transpose(1, 2);
    const angles = random([time, 32]);
    report(`rotary ${place}`, size * 4, () => callTensor("crossblock::rotary", [heads, angles, angles, 1]));
  });
}

const zeros = () => Array.from({ length: 14 }, () => Tensor.zeros([4096, 4096], { device }));
const [parameters, gradients, firsts, seconds] = [zeros(), zeros(), zeros(), zeros()];
const each = (value) => parameters.map(() => value);
const constants = [each(1e-3), each(-1), each(1), Tensor.ones([2], { device }), null, 0.9, 0.999, 1e-8];
report("Adam, 14 of 4096 x 4096", 14 * 4096 * 4096 * 28, () =>
  callInPlace("crossblock::adam_", [parameters, gradients, firsts, seconds, ...constants]),
);
