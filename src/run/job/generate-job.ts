import { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { generate } from "../../evaluate/generate.js";
import type { EngineCalls, GenerateParameters, TextEvent } from "../engine/engine-protocol.js";
import type { RequestContext } from "../engine/serve-requests.js";
import type { LoadedModel } from "../source/open-model.js";

/** Shown by decoders for the bytes of a character that is not complete yet. */
const INCOMPLETE = "\uFFFD";

/** Continues a prompt and sends the text as its characters become complete. */
export async function generateJob(
  model: LoadedModel,
  { prompt, tokens, temperature, seed }: GenerateParameters,
  { emit, poll }: RequestContext<TextEvent>,
): Promise<EngineCalls["generate"]["result"]> {
  const tokenizer = await Tokenizer.open(model.folder, model.decoder.spec.vocabSize);
  const start = tokenizer.startToken === null ? [] : [tokenizer.startToken];
  const ids = Int32Array.from([...start, ...tokenizer.encode(prompt)]);
  const options = { tokens, temperature, seed, stop: new Set(tokenizer.eosTokens) };
  const started = performance.now();
  const generated: number[] = [];
  let shown = "";
  for (const token of generate(model.decoder, ids, options)) {
    poll();
    generated.push(token);
    // Decoded with the prompt before it, because a tokenizer may treat the beginning of a text apart.
    const text = tokenizer.decode([...ids, ...generated], { skipSpecialTokens: true });
    const before = tokenizer.decode(ids, { skipSpecialTokens: true });
    const fresh = text.slice(before.length + shown.length);
    if (fresh !== "" && !fresh.endsWith(INCOMPLETE)) {
      shown += fresh;
      emit({ event: "text", text: fresh });
    }
  }
  return { tokens: generated.length, seconds: (performance.now() - started) / 1000 };
}
