#!/usr/bin/env node
import { runProgram } from "./program.js";

// A reader that went away, as in `crossblock ... | head`, is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

await runProgram(process.argv.slice(2));
