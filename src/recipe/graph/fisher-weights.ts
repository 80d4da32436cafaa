import { createPortStore, mapPorts, type PortStore, type Ports, portOf } from "../../calibration/port-store.js";
import { checkpointSource } from "../../network/index.js";
import { advance } from "../../reconstruct/advance.js";
import { fisherWeight } from "../../reconstruct/objective/fisher/fisher.js";
import { forwardAll, type QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { writtenPorts } from "../../reconstruct/training/window-ports.js";
import { backward, enableGrad, freeOnError, noGrad, scope, type Tensor } from "../../tensor/index.js";
import type { WindowWork } from "../recipe.js";
import { chooseStorage } from "../state/streams.js";
import { UnitSource } from "../state/unit-source.js";

/**
 * Weights of the errors of a window's output: `fisherWeight` of the gradient of `KL(p || p')` in it, where `p` are the
 * probabilities of the full-precision network and `p'` those of the network quantized up to this window and in full precision
 * behind it. The window's weights are those that it begins with, rounded. Opens all units behind the window.
 * Source: BRECQ (arXiv 2102.05426), section 3.2 and algorithm 1.
 *
 * @returns a store of the ports that the window writes, owned by the caller
 */
export function fisherWeights(work: WindowWork, kind: "squared" | "damped"): PortStore {
  const { job, parts, blocks, input } = work;
  const [target] = work.targets;
  if (input === null || target === undefined) throw new TypeError("gradients of the output need calibration");
  const { checkpoint, device, dtype, network } = job;
  const written = writtenPorts(blocks);
  const ports = Object.fromEntries(Object.entries(target.shape.ports).filter(([name]) => written.has(name)));
  const shape = { ...target.shape, ports };
  const store = createPortStore(shape, chooseStorage(job, shape, 1), job);
  using source = new UnitSource(job, job.tokens?.context ?? 1);
  const end = network.end(checkpointSource(checkpoint, { device, dtype }));
  const later: QuantizedUnit[] = [];
  try {
    return freeOnError([store], () => {
      for (let k = (blocks.at(-1)?.index ?? 0) + 1; k < network.units.length; k++) {
        const unit = source.open(k, false);
        later.push(unit);
        unit.castWeights(dtype);
        unit.dropExactWeights();
      }
      for (const block of blocks) block.previewHard();
      const logits = (x: Ports): Tensor => {
        const output = portOf(
          forwardAll(later, x, (unit, before) => unit.forwardFull(before)),
          end.port,
        );
        return end.head(output.reshape([-1, output.size(-1)])).to("float32");
      };
      let [sum, numbers] = [0, 0];
      parts.each(target.shape.sequences, (part) => {
        job.poll();
        scope(() => {
          const expected = noGrad(() => logits(target.read(part)).logSoftmax(-1));
          const actual = noGrad(() =>
            forwardAll(blocks, input.read(part), (unit, before) => unit.forwardQuantized(before)),
          );
          const leaves = mapPorts(actual, (port, name) => {
            const leaf = port.detach();
            return written.has(name) ? leaf.requiresGrad_() : leaf;
          });
          const loss = enableGrad(() => {
            const ours = logits(leaves).logSoftmax(-1);
            return expected.exp().mul(expected.sub(ours)).sum().div(part.length);
          });
          backward(loss);
          const gradients = Object.keys(ports).map((name) => {
            const leaf = portOf(leaves, name);
            return [name, leaf.grad ?? leaf.detach().mul(0)] as const;
          });
          noGrad(() => {
            for (const [, gradient] of gradients) {
              sum += gradient.to("float32").square().sum().item();
              numbers += gradient.numel;
            }
            store.write(part[0] as number, Object.fromEntries(gradients));
          });
        });
      });
      advance(store, store, parts, (x) => mapPorts(x, (g) => fisherWeight(g, kind, sum / Math.max(1, numbers))));
      return store;
    });
  } finally {
    for (const block of blocks) block.release();
    for (const unit of later) unit.dispose();
    end.dispose();
  }
}
