import { callTensor, type Device, noGrad, scope, synchronize, Tensor } from "../../../tensor/index.js";

/** Numbers that are counted: some examples of an early layer's input. */
const NUMBERS = 2 ** 20;
const TIMES = 3;
const BINS = 2048;

/**
 * Seconds of a number of a quantized input, each time that it passes for its range: the ends are found first, then the numbers
 * between them are counted.
 */
export function secondsOfCounting(device: Device): number {
  return noGrad(() =>
    scope(() => {
      const x = Tensor.randn([NUMBERS], { device });
      const once = (): void =>
        scope(() => {
          const [low = 0, high = 0] = Tensor.stack([x.amin(), x.amax()]).toFloat32Array();
          callTensor("aten::histc", [x, BINS, low, high]).toFloat32Array();
        });
      // A device's kernels are loaded at first use.
      once();
      synchronize(device);
      const times = Array.from({ length: TIMES }, () => {
        const started = performance.now();
        once();
        return (performance.now() - started) / 1000;
      });
      return Math.min(...times) / (2 * NUMBERS);
    }),
  );
}
