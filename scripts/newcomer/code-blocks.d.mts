export function codeBlocks(
  text: string,
  languages: readonly string[],
): readonly { readonly language: string; readonly code: string; readonly line: number }[];
export function packageCommands(text: string): readonly string[];
