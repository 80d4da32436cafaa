/**
 * The code blocks of a page.
 *
 * @param {string} text @param {readonly string[]} languages what may stand behind the fence: `sh`, `ts`
 * @returns {readonly { language: string, code: string, line: number }[]} `line` is that of the fence, from 1
 */
export function codeBlocks(text, languages) {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .map(({ 1: language = "", 2: code = "", index }) => ({
      language,
      code,
      line: text.slice(0, index).split("\n").length,
    }))
    .filter(({ language }) => languages.includes(language));
}

/** What needs a clone of the repository, and not the package. */
const OF_A_CLONE = /^(git clone|cd |npm (run|test|pack)\b)/;

/**
 * The commands of shell blocks, a line each; continued lines are one, comments are left out, and so is what needs a clone.
 *
 * @param {string} text the page @returns {readonly string[]}
 */
export function packageCommands(text) {
  return codeBlocks(text, ["sh"])
    .flatMap(({ code }) => code.replaceAll(/\\\n\s*/g, "").split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#") && !OF_A_CLONE.test(line));
}
