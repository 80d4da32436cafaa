/** Text of a data set of the Hugging Face Hub. */
export interface DatasetName {
  /** `owner/name`. */
  readonly name: string;
  /** `train`, or `folder/train` of a data set with several; null takes the training split, or the only one. */
  readonly split: string | null;
  /** The column that holds the text; null takes the one that readers know. */
  readonly column: string | null;
}

/** What data sets of the hub begin with where paths can stand too. */
export const datasetPrefix = "hub:";

/** `hub:owner/name[:split][:column]`; null for a text of another form. An empty split leaves it open: `hub:owner/name::text`. */
export function datasetNameOf(text: string): DatasetName | null {
  if (!text.startsWith(datasetPrefix)) return null;
  const [name = "", split = "", column = "", ...rest] = text.slice(datasetPrefix.length).split(":");
  const part = "[A-Za-z0-9][\\w.-]{0,95}";
  const wellFormed = new RegExp(`^${part}/${part}$`).test(name) && /^(?:[\w.-]+\/)*[\w.-]*$/.test(split);
  if (!wellFormed || rest.length > 0) return null;
  return { name, split: split === "" ? null : split, column: column === "" ? null : column };
}
