#!/usr/bin/env node
import { nodeVersionError } from "../node-version.js";

// Nothing else is imported before Node is known to be new enough: an old one would fail at a module that it can't load.
const problem = nodeVersionError(process.versions.node);
if (problem === null) {
  // A reader that went away, as in `crossblock ... | head`, is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
  });
  void import("./program.js").then(({ runProgram }) => runProgram(process.argv.slice(2)));
} else {
  process.stderr.write(`error: ${problem.what} (${problem.where})\n  next: ${problem.next}\n`);
  process.exitCode = problem.exitCode;
}
