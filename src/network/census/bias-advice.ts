import { families } from "../decoder/families/index.js";
import { linearName } from "../decoder/spec/decoder-spec.js";
import { biasFacts, modelSpec } from "../decoder/spec/model-spec.js";
import { networkTensors } from "../decoder/spec/network-tensors.js";
import { withTextKeys } from "../decoder/spec/tower/text-tower.js";
import type { CensusContext } from "./left-out-rules.js";

/** What to say of a bias that belongs to a module of the network and is not read. */
export interface BiasAdvice {
  readonly what: string;
  readonly next: string;
}

/**
 * Recognises biases of the network's own modules that its configuration does not ask for, and names the key that would have
 * them read. A key is named only where the network is complete with it.
 *
 * @returns null for a tensor that is no such bias
 */
export function biasAdvice({ spec, config, names, wanted }: CensusContext): (name: string) => BiasAdvice | null {
  const family = families.get(spec.family);
  const byModule = new Map<string, BiasAdvice>();
  for (const { roles, key } of family === undefined ? [] : biasFacts(family)) {
    // Of a key that the family knows with one value alone, another value would only be refused.
    const advice = key === null || Object.hasOwn(family?.requires ?? {}, key) ? fixed(spec.family) : keyed(key);
    for (const role of roles) {
      if (spec.names.linears[role] === undefined) continue;
      for (const block of spec.blocks.keys()) byModule.set(linearName(spec, block, role), advice);
    }
  }
  function keyed(key: string): BiasAdvice {
    const what = "biases that config.json does not speak of";
    const setting = `"${key}": true`;
    const asked = networkTensors(modelSpec(withTextKeys(config, { [key]: true }), (name) => names.has(name)));
    const missing = [...asked.keys()].find((name) => !names.has(name) && !wanted.has(name));
    return {
      what,
      next:
        missing === undefined
          ? `set ${setting} in config.json if the model was trained with them, and run the same command again`
          : `check config.json against the model's source: with ${setting} it needs ${missing} too, which is not here`,
    };
  }
  return (name) => {
    if (!name.endsWith(".bias")) return null;
    const module = name.slice(0, -".bias".length);
    return byModule.get(module) ?? (wanted.has(`${module}.weight`) ? fixed(spec.family) : null);
  };
}

function fixed(family: string): BiasAdvice {
  return {
    what: `biases that the family ${family} does not have`,
    next: `check that model_type in config.json ("${family}") is the architecture of these weights`,
  };
}
