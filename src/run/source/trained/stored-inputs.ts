import { join } from "node:path";
import { z } from "zod";
import type { JsonObject } from "../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { CheckpointError } from "../../../errors.js";
import type { TensorGrid } from "../../../quant/input/asymmetric-tensor.js";

/** How the inputs of a trained model's Linears are quantized: learnt with its weights, and stored beside them. */
export interface StoredInputs {
  readonly bits: 4 | 8;
  /** By module name. */
  readonly grids: ReadonlyMap<string, TensorGrid>;
}

/** The key of `config.json`, which transformers keeps as it is and does not read. */
const KEY = "crossblock";

const shape = z.object({
  input_activations: z.object({
    num_bits: z.union([z.literal(4), z.literal(8)]),
    type: z.literal("int"),
    symmetric: z.literal(false),
    strategy: z.literal("tensor"),
    dynamic: z.literal(false),
    scale: z.record(z.string(), z.number().positive()),
    zero_point: z.record(z.string(), z.number()),
  }),
});

/** What stands in `config.json` for them, in the words of compressed-tensors; zero points count from 0. */
export function storedInputsConfig({ bits, grids }: StoredInputs): JsonObject {
  return {
    [KEY]: {
      input_activations: {
        num_bits: bits,
        type: "int",
        symmetric: false,
        strategy: "tensor",
        dynamic: false,
        scale: Object.fromEntries([...grids].map(([module, { scale }]) => [module, scale])),
        zero_point: Object.fromEntries([...grids].map(([module, { zeroPoint }]) => [module, zeroPoint])),
      },
    },
  };
}

/**
 * @returns null where `config.json` has none
 * @throws CheckpointError for a key that is not what crossblock writes
 */
export function readStoredInputs(config: ModelConfig, folder: string): StoredInputs | null {
  if (config[KEY] === undefined) return null;
  const parsed = shape.safeParse(config[KEY]);
  if (!parsed.success) throw damaged(folder, parsed.error.issues[0]?.path.join(".") ?? "");
  const { num_bits: bits, scale, zero_point: zeroPoints } = parsed.data.input_activations;
  const grids = new Map<string, TensorGrid>();
  for (const [module, step] of Object.entries(scale)) {
    const zeroPoint = zeroPoints[module];
    if (zeroPoint === undefined) throw damaged(folder, `input_activations.zero_point.${module}`);
    grids.set(module, { scale: step, zeroPoint });
  }
  return { bits, grids };
}

/** The same configuration without them: those of a result are stored in its format. */
export function withoutStoredInputs({ [KEY]: _, ...config }: ModelConfig): ModelConfig {
  return config;
}

function damaged(folder: string, where: string): CheckpointError {
  return new CheckpointError({
    where: join(folder, "config.json"),
    what: `its key "${KEY}" does not hold the ranges of inputs that a training of crossblock writes`,
    why: where,
    next: `take that key out to have the model without its ranges, or take config.json from the training's folder again`,
  });
}
