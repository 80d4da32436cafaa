import { isJsonObject, type JsonValue } from "../json/json.js";

/** Special tokens that a tokenizer puts around every text by itself, as its files spell them. */
export interface TextTemplate {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** What the `post_processor` of a `tokenizer.json` puts around a single text; null where it says nothing about that. */
export function textTemplate(processor: JsonValue): TextTemplate | null {
  if (!isJsonObject(processor)) return null;
  const { type, single, processors, cls, sep } = processor;
  if (type === "TemplateProcessing" && Array.isArray(single)) return templateOf(single as readonly JsonValue[]);
  if (type === "BertProcessing" || type === "RobertaProcessing") {
    const text = (pair: JsonValue | undefined): string[] => (Array.isArray(pair) ? [String(pair[0])] : []);
    return { before: text(cls), after: text(sep) };
  }
  if (type !== "Sequence" || !Array.isArray(processors)) return null;
  return (processors as readonly JsonValue[]).map(textTemplate).find((template) => template !== null) ?? null;
}

function templateOf(parts: readonly JsonValue[]): TextTemplate {
  const special = parts.map((part) => {
    const token = isJsonObject(part) ? part["SpecialToken"] : undefined;
    return isJsonObject(token) ? String(token["id"]) : null;
  });
  const text = special.indexOf(null);
  const isToken = (token: string | null): token is string => token !== null;
  return { before: special.slice(0, text).filter(isToken), after: special.slice(text + 1).filter(isToken) };
}
