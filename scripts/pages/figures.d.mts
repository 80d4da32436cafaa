/** A measured number, as a page quotes it. */
export interface Figure {
  readonly value: string;
  readonly what: string;
  readonly machine: string;
  readonly date: string | null;
  readonly command: string;
}

/** A table of a page, with the measurement that its section tells before it. */
export interface Table {
  readonly line: number;
  /** The heading above it. */
  readonly title: string;
  readonly name: string | null;
  readonly measured: { readonly machine: string; readonly date: string; readonly command: string } | null;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The tables of a page. */
export declare function tablesOf(text: string): Table[];
/** The figures of the tables of a page that have a name. */
export declare function figuresOf(page: string, text: string): [string, Figure][];
