/**
 * Films a new user's first minutes in a terminal: installs the package that this checkout makes in an empty folder, runs the
 * commands of recording/commands.json there, and writes docs/first-minutes.svg. Everything in it happened; pauses are cut, and the
 * clock in the corner is the real one. `node scripts/pages/recording.mjs [MODEL]` takes another model folder than the bundled one,
 * with `--out FILE` another file, with `--commands FILE` other commands.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { animatedSvg } from "./recording/animated-svg.mjs";
import { filmTimes } from "./recording/film-time.mjs";
import { runInTerminal } from "./recording/run-in-terminal.mjs";
import { TerminalFrames } from "./recording/terminal-frames.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PROMPT = "\x1b[32m$\x1b[39m ";
/** Seconds of the film: for a letter of a command and behind its last one, before it, and after what it wrote. */
const LETTER = 0.03;
const ENTER = 0.3;
const BEFORE = 0.6;
const AFTER = 1.6;
/** Bytes that the film may have. */
const MOST = 300_000;

/** @typedef {{ type: string, seconds: number, say?: string[], needs?: "chat template" | "no chat template" }} Filmed */

const { values, positionals } = parseArgs({
  options: { out: { type: "string" }, commands: { type: "string" } },
  allowPositionals: true,
});
const model = resolve(positionals[0] ?? join(ROOT, "models", "sotu-llama-7m"));
const out = resolve(values.out ?? join(ROOT, "docs", "first-minutes.svg"));
const script = JSON.parse(
  readFileSync(values.commands ?? join(ROOT, "scripts", "pages", "recording", "commands.json"), "utf8"),
);
const place = mkdtempSync(join(tmpdir(), "crossblock-"));
try {
  const svg = await film(place);
  if (svg.length > MOST) {
    throw new Error(`${svg.length} bytes, and ${MOST} are the limit: give commands fewer seconds in commands.json`);
  }
  writeFileSync(out, svg);
  process.stdout.write(`${out}: ${svg.length} bytes\n`);
} finally {
  rmSync(place, { recursive: true, force: true });
}

/** @param {string} folder @returns {Promise<string>} */
async function film(folder) {
  prepare(folder);
  const terminal = new TerminalFrames(script);
  // A first compilation belongs to the first minutes: nothing is taken from this user's cache.
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, ".cache"), npm_config_update_notifier: "false" };
  for (const name of ["NO_COLOR", "FORCE_COLOR", "CI"]) delete env[name];
  const kind = hasChatTemplate() ? "chat template" : "no chat template";
  let [at, clock] = [0, 0];
  for (const { type, seconds, say, needs } of /** @type {Filmed[]} */ (script.commands)) {
    if (needs !== undefined && needs !== kind) continue;
    await terminal.write(PROMPT, at, clock);
    at += BEFORE;
    for (const letter of type) {
      at += LETTER;
      await terminal.write(letter, at, clock);
    }
    at += ENTER;
    await terminal.write("\r\n", at, clock);
    process.stdout.write(`$ ${type}\n`);
    const ran = await runInTerminal(type, {
      cwd: folder,
      env,
      columns: script.columns,
      rows: script.rows,
      say: say ?? [],
    });
    if (ran.code !== 0) {
      throw new Error(`it ended with ${ran.code}:\n${ran.output.map(({ text }) => text).join("")}`);
    }
    const times = filmTimes(
      ran.output.map((piece) => piece.seconds),
      seconds,
    );
    let unseen = "";
    for (const [i, piece] of ran.output.entries()) {
      unseen += piece.text;
      const time = times[i] ?? null;
      if (time === null) continue;
      await terminal.write(unseen, at + time, clock + piece.seconds);
      unseen = "";
    }
    at += (times.at(-1) ?? 0) + AFTER;
    clock += ran.seconds;
    process.stdout.write(`  ${ran.seconds.toFixed(1)} s\n`);
  }
  return animatedSvg(terminal.frames, script);
}

/** @param {string} folder */
function prepare(folder) {
  const npm = (/** @type {string[]} */ ...args) => execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" });
  const packed = JSON.parse(npm("pack", "--json", "--silent", "--pack-destination", folder));
  renameSync(join(folder, packed[0].filename), join(folder, "crossblock.tgz"));
  writeFileSync(join(folder, "package.json"), '{ "name": "try", "private": true, "type": "module" }\n');
  symlinkSync(model, join(folder, "model"));
}

/** @returns {boolean} */
function hasChatTemplate() {
  if (existsSync(join(model, "chat_template.jinja"))) return true;
  const path = join(model, "tokenizer_config.json");
  return existsSync(path) && JSON.parse(readFileSync(path, "utf8")).chat_template !== undefined;
}
