import type { Tokenizer } from "../../checkpoint/tokenizer/tokenizer.js";
import { CalibrationError } from "../../errors.js";

/** Whether Unicode has a script of this name: `Latin`, `Han`, `Cyrillic`. */
export function isScript(name: string): boolean {
  try {
    return /^\w+$/.test(name) && new RegExp(`\\p{Script=${name}}`, "u").source.length > 0;
  } catch {
    return false;
  }
}

/** What is read of a tokenizer here. */
type Vocabulary = Pick<Tokenizer, "addedTokens" | "decode" | "idLimit">;

/**
 * Ids that a sequence may begin with: tokens that are letters of these scripts and nothing else, a space before them aside.
 * Without scripts all but added tokens are, as long as they have a text: a vocabulary may leave ids out.
 * Norm Tweaking draws from the languages that a model was trained on most: in a vocabulary rare ones have far too large a share.
 *
 * @throws CalibrationError where the vocabulary has no such token
 */
export function firstTokens(tokenizer: Vocabulary, scripts: readonly string[]): Int32Array {
  const added = new Set(tokenizer.addedTokens.map(({ id }) => id));
  const letters = scripts.map((script) => `\\p{Script=${script}}`).join("");
  // An id without a token decodes to nothing.
  const fits = scripts.length === 0 ? /./s : new RegExp(`^\\s?[${letters}]+$`, "u");
  const ids = Int32Array.from({ length: tokenizer.idLimit }, (_, id) => id).filter(
    (id) => !added.has(id) && fits.test(tokenizer.decode([id])),
  );
  if (ids.length > 0) return ids;
  throw new CalibrationError({
    where: 'option "selfGenerated.scripts"',
    what: `no token of the model is made of letters of ${scripts.join(" or ")}`,
    next: "use --set selfGenerated.scripts=[] for any token, or name a script that the model writes",
  });
}
