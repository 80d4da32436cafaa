import { tokenIds } from "../../../network/decoder/token-ids.js";
import { noGrad, scope } from "../../../tensor/index.js";
import type { RequestContext } from "../../engine/serve-requests.js";
import type { WorkEvent } from "../../events/events.js";
import { resolveDevice } from "../../machine/device.js";
import { openModel } from "../../source/open-model.js";
import { openTokenizer } from "../../source/read-tokens.js";
import { fixedText, fixedTokens } from "./fixed-text.js";
import { tokenTexts } from "./token-texts.js";

/** What crossblock's own network makes of a result on the fixed tokens. */
export interface OwnLogits {
  readonly tokens: readonly number[];
  /** Texts of every kind with the ids of the model's own tokenizer, without a start token. */
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[] }[];
  /** `[tokens, vocabulary]` */
  readonly logits: Float32Array;
  readonly vocabulary: number;
}

/**
 * Runs the fixed tokens through the network with the result's decoded weights, in fp32. Inputs stay in floating point:
 * the formats that foreign runtimes take hold weights only.
 */
export async function ownLogits(
  folder: string,
  device: string,
  context: RequestContext<WorkEvent>,
): Promise<OwnLogits> {
  const to = { device: resolveDevice(device), dtype: "float32", quantizeInputs: false } as const;
  using model = await openModel(folder, to, context);
  const { spec } = model.decoder;
  const tokenizer = await openTokenizer(folder, spec, context);
  const texts = tokenTexts(tokenizer).map((text) => ({ text, ids: [...tokenizer.encode(text)] }));
  const start = tokenizer.startToken === null ? [] : [tokenizer.startToken];
  const tokens = [...start, ...tokenizer.encode(fixedText)].slice(0, Math.min(fixedTokens, spec.maxPositions));
  const logits = noGrad(() =>
    scope(() => {
      const ids = tokenIds(spec, Int32Array.from(tokens), [1, tokens.length], model.device);
      return model.decoder.logits(ids).toFloat32Array();
    }),
  );
  return { tokens, texts, logits, vocabulary: spec.vocabSize };
}
