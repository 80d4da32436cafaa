import type { Frame } from "./terminal-frames.mjs";

/** An SVG that plays by itself, without a script. */
export function animatedSvg(
  frames: readonly Frame[],
  options: { readonly title: string; readonly columns: number; readonly rows: number },
): string;
