/** What has to be read to understand a recipe, as paths below src/. */
export interface ReadingPath {
  readonly paper: string;
  /** Files with formulas of the paper. */
  readonly formulas: string[];
  /** All files on the way, the recipe's own first. */
  readonly files: string[];
}

/** @throws Error for a recipe that is not there or names no paper */
export function readingPath(recipe: string): ReadingPath;
