import type { Tensor } from "../../tensor/index.js";
import { scope } from "../../tensor/index.js";
import type { Network, NetworkEnd, NetworkStart, OpenNetwork, UnitPlacement } from "../network.js";
import type { TensorSource } from "../owned-weights.js";
import type { Ports, UnitPlan } from "../unit.js";
import { forwardBlock } from "./block/forward-block.js";
import { RotaryTables } from "./block/rotary/rotary-tables.js";
import { applyHead, embed } from "./decoder.js";
import { decoderUnits, HIDDEN } from "./decoder-units.js";
import { blockOf, type DecoderSpec } from "./spec/decoder-spec.js";
import { tokenIds } from "./token-ids.js";
import { loadEmbedding, loadHead } from "./weights.js";

/** A decoder-only transformer as a network whose units are its blocks, and whose one port is its hidden states. */
export class DecoderNetwork implements Network {
  readonly units: readonly UnitPlan[];

  constructor(readonly spec: DecoderSpec) {
    this.units = decoderUnits(spec);
  }

  get width(): number {
    return this.spec.hiddenSize;
  }

  ports(length: number): Readonly<Record<string, readonly number[]>> {
    return { [HIDDEN]: [length, this.spec.hiddenSize] };
  }

  open({ device, dtype, length }: UnitPlacement): OpenNetwork {
    const { spec } = this;
    const rotary = RotaryTables.create(spec, length, device, dtype);
    return {
      run: (unit, weights, ports, hooks) => ({
        ...ports,
        [HIDDEN]: forwardBlock(blockOf(spec, unit.index), weights, ports[HIDDEN] as Tensor, { rotary, ...hooks }),
      }),
      [Symbol.dispose]: () => rotary.dispose(),
    };
  }

  begin(source: TensorSource): NetworkStart {
    const { spec } = this;
    const weights = loadEmbedding(source, spec);
    return {
      run: (ids, shape): Ports => ({
        [HIDDEN]: scope(() => embed(spec, weights, tokenIds(spec, ids, shape, weights.embedding.device))),
      }),
      dispose: () => weights.dispose(),
    };
  }

  end(source: TensorSource): NetworkEnd {
    const { spec } = this;
    const weights = loadHead(source, spec);
    return {
      port: HIDDEN,
      head: (states) => applyHead(spec, weights, states),
      dispose: () => weights.dispose(),
    };
  }
}
