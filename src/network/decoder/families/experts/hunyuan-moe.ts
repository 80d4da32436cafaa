import type { Family } from "../family.js";
import { hunyuanDense, hunyuanNames } from "../relatives/hunyuan.js";
import { eachExpert, expertNames, stackedExperts } from "./qwen3-moe.js";

/** Hunyuan with experts in every block: chosen by a softmax, beside an MLP that every token passes. */
export const hunyuanMoe: Family = {
  ...hunyuanDense,
  modelType: "hunyuan_v1_moe",
  experts: {
    blocks: "all",
    count: ["num_experts", "num_local_experts"],
    perToken: { key: "moe_topk", default: 1 },
    width: { key: "intermediate_size", default: 11008 },
    router: { scores: "softmax", normalised: true },
    shared: { width: { key: "intermediate_size", default: 11008 }, gate: false },
    stored: [eachExpert, stackedExperts],
    each: eachExpert,
  },
  names: {
    ...hunyuanNames,
    linears: {
      ...hunyuanNames.linears,
      ...expertNames,
      router: "mlp.gate.wg",
      sharedGate: "mlp.shared_mlp.gate_proj",
      sharedUp: "mlp.shared_mlp.up_proj",
      sharedDown: "mlp.shared_mlp.down_proj",
    },
  },
};
