import { createInterface } from "node:readline";
import { decodeUtf8 } from "../../../calibration/text/bytes/utf8.js";

/** Where a conversation's lines come from: a terminal, or a pipe or file. */
export interface LineSource {
  readonly input: NodeJS.ReadStream | (NodeJS.ReadableStream & { isTTY?: false });
  /** Gets the prompt and what is typed; nothing where the input is no terminal. */
  readonly output: NodeJS.WritableStream;
  /** Ends them, also while the next line is waited for. */
  readonly signal: AbortSignal;
}

/**
 * The lines of a conversation, one at a time: the next is asked for with a prompt once the caller is done with the last. Ends
 * with the input (Ctrl-D), and at Ctrl-C while it waits for a line. While the caller works the terminal is left as it is,
 * so that Ctrl-C arrives as a signal.
 *
 * @throws CalibrationError for a line of a pipe or file that is not UTF-8; readline would put signs in the place of its bytes
 */
export async function* chatLines({ input, output, signal }: LineSource, prompt: string): AsyncGenerator<string, void> {
  const terminal = input.isTTY === true;
  const lines: string[] = [];
  let closed = false;
  let wake = (): void => {};
  let number = 0;
  // A character a byte, so that nothing is lost before the line is decoded.
  if (!terminal) input.setEncoding("latin1");
  const reader = createInterface({ input, output: terminal ? output : undefined, terminal, prompt, historySize: 200 });
  reader.on("line", (line) => {
    lines.push(line);
    wake();
  });
  reader.on("close", () => {
    closed = true;
    wake();
  });
  reader.on("SIGINT", () => {
    output.write("\n");
    reader.close();
  });
  const close = (): void => reader.close();
  signal.addEventListener("abort", close);
  try {
    for (;;) {
      if (lines.length === 0 && !closed) {
        if (terminal) {
          (input as NodeJS.ReadStream).setRawMode(true);
          reader.prompt();
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const line = lines.shift();
      if (line === undefined) {
        if (closed) return;
        continue;
      }
      if (terminal && !closed) {
        reader.pause();
        (input as NodeJS.ReadStream).setRawMode(false);
      }
      number++;
      yield terminal ? line : decodeUtf8(Buffer.from(line, "latin1"), `standard input, line ${number}`);
    }
  } finally {
    signal.removeEventListener("abort", close);
    reader.close();
  }
}
