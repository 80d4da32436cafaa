import type { Figure } from "./figures.mjs";

/** Every figure that a page may quote, by its name. */
export declare function allFigures(): Record<string, Figure>;
/** A page with its marked places filled. */
export declare function fill(page: string, text: string, figures: Readonly<Record<string, { value: string }>>): string;
/** Every file that is filled or generated, as it should be, by its path. */
export declare function wantedPages(): Map<string, string>;
