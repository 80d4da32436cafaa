import picocolors from "picocolors";

/** Functions that put a text into a colour or a weight. */
export type Colors = ReturnType<typeof picocolors.createColors>;

/** Leaves texts as they are. */
export const plainColors: Colors = picocolors.createColors(false);

/**
 * For a stream that people read: none where `NO_COLOR` is set or the stream is no terminal that can show them, unless
 * `FORCE_COLOR` asks for them.
 */
export function colorsOf(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Colors {
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined) return picocolors.createColors(forced !== "0" && forced !== "false");
  const wanted = (env["NO_COLOR"] ?? "") === "" && stream.isTTY === true && env["TERM"] !== "dumb";
  return picocolors.createColors(wanted);
}
