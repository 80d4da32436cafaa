/** How the splits of a data set are written in the names of its files. */
const spellings: Readonly<Record<string, readonly string[]>> = {
  train: ["train", "training"],
  validation: ["validation", "valid", "val", "dev", "eval", "evaluation"],
  test: ["test", "testing"],
};

/** Kinds of file that hold documents, packed or not. */
const textFile = /\.(?:parquet|(?:jsonl|txt)(?:\.gz|\.zst)?)$/i;
/** Folders that say nothing of a data set: those of all of its files, and of the only configuration. */
const plainFolders: ReadonlySet<string> = new Set(["data", "default"]);

/**
 * The text files of a data set by their split, each sorted by name. A split is found as the hub's own library finds it, by a
 * word of the path (`data/train-00000-of-00002.parquet`, `validation/0000.parquet`, `test.jsonl`); files without one are
 * `train`. Where the data set has several configurations, in a folder each, splits are `configuration/train`.
 */
export function splitsOf(paths: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const files = paths.filter((path) => textFile.test(path)).map((path) => ({ path, ...placeOf(path) }));
  const several = new Set(files.map(({ configuration }) => configuration)).size > 1;
  const splits = new Map<string, string[]>();
  for (const { path, configuration, split } of files.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = several && configuration !== "" ? `${configuration}/${split}` : split;
    splits.set(name, [...(splits.get(name) ?? []), path]);
  }
  return splits;
}

function placeOf(path: string): { readonly configuration: string; readonly split: string } {
  const folders = path.split("/");
  const file = folders.pop() ?? "";
  const ofFile = splitIn(file);
  const at = folders.findLastIndex((folder) => splitIn(folder) !== null);
  const split = ofFile ?? (at < 0 ? null : splitIn(folders[at] ?? "")) ?? "train";
  const others = folders.filter((folder, i) => !plainFolders.has(folder) && (ofFile !== null || i !== at));
  return { configuration: others.join("/"), split };
}

function splitIn(name: string): string | null {
  const words = name.toLowerCase().split(/[^a-z]+/);
  return Object.keys(spellings).find((split) => spellings[split]?.some((word) => words.includes(word))) ?? null;
}
