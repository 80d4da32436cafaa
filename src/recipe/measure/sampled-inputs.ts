import type { PortStore } from "../../calibration/port-store.js";
import { inputRows } from "../../network/index.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { callTensor, keep, noGrad, scope, type Tensor } from "../../tensor/index.js";

/** Sequences that inputs are taken of, and tokens of each: the last ones, which see most text. */
const [SEQUENCES, TOKENS] = [8, 64];

/** Some inputs of a Linear, fp32 `[tokens, in]`. */
export interface SampledInputs extends Disposable {
  readonly rows: Tensor;
}

/** Some inputs of a Linear as the quantized block gives them, on a stream at the block's input. */
export function sampledInputs(block: QuantizedUnit, layer: string, stream: PortStore): SampledInputs {
  const rows = noGrad(() =>
    scope(() => {
      const found: Tensor[] = [];
      for (let i = 0; i < Math.min(SEQUENCES, stream.shape.sequences); i++) {
        const ports = stream.read([i]);
        block.forwardQuantized(ports, (seen, x, linear) => {
          if (seen !== layer) return;
          const given = block.layers.get(layer)?.activation?.apply(x, ports) ?? x;
          const rows = inputRows(given, linear);
          const tokens = rows.reshape([-1, rows.size(-1)]);
          const count = Math.min(TOKENS, tokens.size(0));
          found.push(
            tokens
              .narrow(0, tokens.size(0) - count, count)
              .to("float32")
              .clone(),
          );
        });
      }
      return keep(callTensor("aten::cat", [found, 0]));
    }),
  );
  return { rows, [Symbol.dispose]: () => rows.dispose() };
}
