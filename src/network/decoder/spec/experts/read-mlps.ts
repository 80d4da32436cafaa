import { type ModelConfig, optionalCount, optionalString, requireCount } from "../../../../checkpoint/model-config.js";
import type { Family } from "../../families/family.js";
import type { Activation, DenseMlpSpec, MlpSpec } from "../block-spec.js";
import { booleanFact, countFact, positiveFact } from "../read-facts.js";
import { unsupportedKey } from "../unsupported-key.js";
import { readExperts } from "./read-experts.js";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["relu", "relu"],
  ["relu2", "relu2"],
  ["gelu", "gelu"],
  ["gelu_python", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["gelu_fast", "gelu_tanh"],
  ["gelu_accurate", "gelu_tanh"],
  ["xielu", "xielu"],
]);

/** The MLP of every block. @throws ModelError naming the key that is missing, or that does not fit */
export function readMlps(
  config: ModelConfig,
  family: Family,
  sizes: { readonly hiddenSize: number; readonly eps: number; readonly blocks: number },
): readonly MlpSpec[] {
  const activation = readActivation(config, family);
  // Where no block has a dense MLP, the configuration need not know its width.
  const dense = (): DenseMlpSpec => ({
    kind: family.mlp.kind,
    activation,
    bias: booleanFact(config, family.mlp.bias),
    width: denseWidth(config, family, sizes.hiddenSize),
  });
  const experts =
    family.experts === undefined ? null : readExperts(config, family.experts, { ...sizes, activation, dense });
  if (experts !== null) return experts;
  const mlp = dense();
  return Array.from({ length: sizes.blocks }, () => mlp);
}

function denseWidth(config: ModelConfig, family: Family, hiddenSize: number): number {
  const said = saidWidth(config, family, hiddenSize);
  const { narrowed } = family.mlp;
  if (narrowed === undefined || !booleanFact(config, narrowed.enabledBy)) return said;
  const { key, default: absent } = narrowed.factor;
  const two = Math.trunc((2 * said) / 3);
  if (config[key] === null) return two;
  const multiple = countFact(config, narrowed.multiple);
  return multiple * Math.ceil(Math.trunc(positiveFact(config, { key, default: absent }) * two) / multiple);
}

function saidWidth(config: ModelConfig, { keys, defaults, experts }: Family, hiddenSize: number): number {
  const own = experts?.denseWidth;
  if (own !== undefined) return optionalCount(config, own.key) ?? own.default;
  if (defaults.widening === undefined) return requireCount(config, keys.intermediateSize);
  return optionalCount(config, keys.intermediateSize) ?? defaults.widening * hiddenSize;
}

/** The activation of a network's MLPs. @throws ModelError for one that is not computed */
export function readActivation(config: ModelConfig, family: Family): Activation {
  const { keys, defaults, names, activationNames = {} } = family;
  const named = optionalString(config, keys.activation) ?? defaults.activation;
  const activation = (Object.hasOwn(activationNames, named) ? activationNames[named] : undefined) ?? named;
  const known = activations.get(activation);
  const learnt = names.tensors?.xieluPositive !== undefined;
  if (known === undefined || (known === "xielu" && !learnt)) {
    const others = [...activations.keys()].filter((name) => learnt || name !== "xielu");
    throw unsupportedKey(keys.activation, `"${activation}"`, others.join(", "));
  }
  return known;
}
