/** Runs commands in a pseudo terminal and keeps what they write with its time. */
import { spawn } from "node:child_process";

/** How long a typed message takes a letter, in milliseconds. */
const LETTER = 45;

/**
 * @typedef {{ readonly seconds: number, readonly text: string }} Output what was written, and when since the command began
 * @typedef {{ readonly code: number | null, readonly seconds: number, readonly output: readonly Output[] }} Ran
 */

/**
 * Runs a shell command in a terminal of its own, by `script` of util-linux.
 * @param {string} command
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, columns: number, rows: number, say?: readonly string[] }} options `say`: lines
 *   that are typed, one whenever the program asks with "> "
 * @returns {Promise<Ran>}
 */
export function runInTerminal(command, { cwd, env, columns, rows, say = [] }) {
  const sized = `stty cols ${columns} rows ${rows}; ${command}`;
  const child = spawn("script", ["--quiet", "--flush", "--return", "--command", sized, "/dev/null"], {
    cwd,
    env: { ...env, TERM: "xterm-256color", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const started = performance.now();
  const since = () => (performance.now() - started) / 1000;
  /** @type {Output[]} */
  const output = [];
  const waiting = [...say];
  let unanswered = "";
  let typing = false;
  const type = async (/** @type {string} */ line) => {
    typing = true;
    await pause(600);
    for (const letter of line) {
      child.stdin.write(letter);
      await pause(LETTER);
    }
    await pause(300);
    unanswered = "";
    child.stdin.write("\r");
    typing = false;
  };
  child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
    output.push({ seconds: since(), text });
    unanswered += text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: readline moves the cursor behind its prompt
    const asks = /(^|\n|\x1b\[\d*[JGK])> (\x1b\[\d*[GJK])*$/.test(unanswered);
    const next = asks && !typing ? waiting.shift() : undefined;
    if (next !== undefined) void type(next);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, seconds: since(), output }));
  });
}

/** @param {number} milliseconds @returns {Promise<void>} */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
