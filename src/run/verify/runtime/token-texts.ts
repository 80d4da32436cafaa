import type { Tokenizer } from "../../../checkpoint/tokenizer/tokenizer.js";
import { fixedText } from "./fixed-text.js";

/**
 * Texts of every kind. Characters are composed (NFC): a runtime that leaves composing to whoever gives it text is right about
 * text that needs none.
 */
const plainTexts: readonly string[] = [
  fixedText,
  "",
  " ",
  "  ",
  "a",
  " the state",
  "  the state  of the   union ",
  "the state\n",
  "\n\nthe state\n\n\n",
  "tabs\tand\r\nlines",
  "I'm, you're, we'll: DON'T they've?",
  "In 1789, 3.14 of 1,000,000 came; ½ ² Ⅻ",
  "٣٤ १२ ๕๖ １２３",
  "naïve café, Zürich, Łódź, čeština, Ελλάδα",
  "русский язык, українська мова",
  "עברית, العربية, हिन्दी, ไทย",
  "日本語のテキスト、中文字符，한국어",
  "🙂👩‍👩‍👧 🇫🇷 end",
  "no-break\u00a0space, em\u2003space, ideographic\u3000space, zero\u200bwidth",
  "_under_score__ #hash @at $5.00 100% a/b (c) [d] {e} <f>",
  "  if (a != b) {\n\treturn a[0] ** 2; // why?\n  }",
  "https://example.org/a?b=c&d=%20e",
];

/** Most added tokens of each kind that are tried. */
const mostTokens = 3;

/**
 * What the tokenizer of an export is tried with: scripts, digits, spaces, symbols, and the model's own special and other added tokens
 * alone, in the middle, at the ends, in pairs, with and without spaces beside them.
 */
export function tokenTexts(tokenizer: Pick<Tokenizer, "addedTokens" | "withoutRow">): string[] {
  const usable = tokenizer.addedTokens.filter((token) => !tokenizer.withoutRow.includes(token));
  // Those with rules of their own come first: they are what goes wrong.
  const byRules = usable.toSorted((a, b) => rulesOf(b) - rulesOf(a));
  const chosen = [true, false].flatMap((special) =>
    byRules.filter((token) => token.special === special).slice(0, mostTokens),
  );
  return [...plainTexts, ...chosen.flatMap(({ content }) => around(content))];
}

function rulesOf(token: Tokenizer["addedTokens"][number]): number {
  return Number(token.singleWord) + Number(token.lstrip) + Number(token.rstrip) + Number(token.normalized);
}

function around(token: string): string[] {
  return [
    token,
    `${token}the state`,
    `the state${token}`,
    `the${token}state`,
    `the ${token} state`,
    `the  ${token}\n the${token}${token} state ${token} `,
  ];
}
