import { parse } from "yaml";
import { z } from "zod";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { maxCardLength } from "../../format/copy-model-files.js";
import { sourceCardFile } from "../../format/written-files.js";

/** Characters of front matter that are read. */
const longest = 100_000;

const word = z.string().regex(/^[\w.+-]{1,80}$/);
const line = z
  .string()
  .max(300)
  .regex(/^[^\p{Cc}]+$/u);
/** What does not fit is left out: it is a card that others wrote. */
const inherited = z.object({
  license: word.optional().catch(undefined),
  license_name: line.optional().catch(undefined),
  license_link: line.optional().catch(undefined),
  language: z
    .union([word, z.array(word).max(300)])
    .optional()
    .catch(undefined),
  pipeline_tag: word.optional().catch(undefined),
});

/** What a result takes over from its source model's card. */
export type SourceCard = z.output<typeof inherited>;

/** Reads the front matter of the source model's card that is kept in a folder; empty where there is none that can be read. */
export function readSourceCard(folder: string): SourceCard {
  const text = ModelFolder.open(folder).readText(sourceCardFile, maxCardLength) ?? "";
  return parseSourceCard(text);
}

export function parseSourceCard(text: string): SourceCard {
  const front = /^(?:\uFEFF)?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text.slice(0, longest))?.[1];
  if (front === undefined) return {};
  try {
    const parsed = inherited.safeParse(parse(front, { maxAliasCount: 20, logLevel: "silent" }));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}
