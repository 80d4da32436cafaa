import { addon } from "./addon.js";

/** Bytes of an open file. */
export interface FileRange {
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Asks the system to have these bytes in memory by the time they are read. Returns at once, and replaces what is left of an
 * earlier call. Never an error: reading is slower without it, no more. Returns whether the system has a way to.
 */
export function readAhead(ranges: readonly FileRange[]): boolean {
  return addon().readAhead(ranges.flatMap(({ fd, offset, length }) => [fd, offset, length]));
}
