import type { Tensor } from "../../../tensor/index.js";
import { tensorOf } from "../../unit-weights.js";
import type { BlockSpec, NormRole } from "../spec/decoder-spec.js";
import type { ExpertsSpec } from "../spec/experts/experts-spec.js";
import { denseMlp } from "./dense-mlp.js";
import { type ExpertsContext, forwardExperts } from "./experts/forward-experts.js";
import type { Sublayer } from "./forward-context.js";
import { normalise } from "./normalise.js";

/** What an MLP is given: the stream behind its norm, and as it is, both `[batch, time, hidden]`. */
export interface MlpInput {
  readonly input: Tensor;
  readonly stream: Tensor;
  readonly norm: (role: NormRole, y: Tensor) => Tensor;
}

/** The MLP of a block, dense or of experts, through its output Linears. */
export function blockMlp({ mlp }: BlockSpec, { input, stream, norm }: MlpInput, sublayer: Sublayer): Tensor {
  if (mlp.kind !== "experts") return denseMlp(mlp, input, sublayer);
  const { weights, context, apply } = sublayer;
  const experts: ExpertsContext = {
    apply,
    tensors: {
      correction: weights.tensors.get("routerCorrection")?.reshape([-1]) ?? null,
      expertScale: weights.tensors.get("expertScale") ?? null,
    },
    ...(context.through !== undefined && { through: context.through }),
  };
  const routerInput = mlp.router.readsStream ? routedStream(mlp, stream, sublayer) : null;
  if (mlp.beside === null) return forwardExperts(mlp, input, routerInput ?? input, experts);
  const dense = norm("densePostNorm", denseMlp(mlp.beside, input, sublayer));
  const read = norm("expertsNorm", stream);
  return dense.add(norm("expertsPostNorm", forwardExperts(mlp, read, routerInput ?? read, experts)));
}

/** The stream as a router with a norm of its own reads it: normalised without gains, times a stored vector and `hidden^-1/2`. */
function routedStream({ router }: ExpertsSpec, stream: Tensor, { weights }: Sublayer): Tensor {
  const norm = { kind: "rms", eps: router.eps, gain: "none", bias: false } as const;
  return normalise(stream, null, norm)
    .mul(tensorOf(weights, "routerScale"))
    .mul(stream.size(-1) ** -0.5);
}
