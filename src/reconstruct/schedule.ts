import { OptionError } from "../errors.js";

/** Blocks that are reconstructed together. */
export interface Window {
  /** First block. */
  readonly first: number;
  /** Last block, included. */
  readonly last: number;
  /** How many of the first blocks are hardened after it; the rest overlaps into the next window. */
  readonly leaving: number;
}

/** One block after the other. */
export function singleBlocks(blocks: number): Window[] {
  return Array.from({ length: blocks }, (_, first) => ({ first, last: first, leaving: 1 }));
}

/**
 * Windows of `size` blocks that overlap by `overlap`, so that each begins `size - overlap` after the
 * one before; a last window that ends with the last block is added where the stride misses it.
 * Source: CBQ (arXiv 2312.07950), section 3.2.
 */
export function windowSchedule(blocks: number, size: number, overlap: number): Window[] {
  if (overlap >= size) {
    throw new OptionError({
      where: 'option "window.overlap"',
      what: `${overlap} is not smaller than window.size (${size}): the window would never move`,
      next: `try --set window.overlap=${size - 1}`,
    });
  }
  const width = Math.min(size, blocks);
  const firsts: number[] = [];
  for (let first = 0; first + width < blocks; first += size - overlap) {
    firsts.push(first);
  }
  firsts.push(blocks - width);
  return firsts.map((first, i) => {
    const next = firsts[i + 1] ?? blocks;
    return { first, last: first + width - 1, leaving: next - first };
  });
}
