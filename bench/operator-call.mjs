// Cost of one small operator from JavaScript: microseconds per call, median of 21 rounds of 5,000.
import { engineInfo, scope, Tensor } from "../dist/tensor/index.js";

const device = process.argv[2] ?? "cpu";
const rounds = [];
scope(() => {
  const a = Tensor.ones([4], { device });
  const b = Tensor.ones([4], { device });
  for (let round = 0; round < 24; round++) {
    const started = performance.now();
    for (let i = 0; i < 5000; i++) a.add(b).dispose();
    rounds.push(((performance.now() - started) * 1000) / 5000);
  }
});
const median = rounds.slice(3).sort((x, y) => x - y)[10];
console.log(
  JSON.stringify({
    operator: "aten::add.Tensor [4]",
    device,
    microseconds: Number(median.toFixed(2)),
    torch: engineInfo().torchVersion,
  }),
);
