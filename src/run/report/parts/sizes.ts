import { figures } from "../figures.js";
import type { Markup } from "../html.js";
import type { ReportRecord } from "../report-record.js";
import { bars } from "./bars.js";
import { missing, section } from "./section.js";

/** Bytes of the source's weights and of each format, with the embedding's share. */
export function sizes({ sizes: found }: ReportRecord): Markup {
  if (found === null) {
    return section("sizes", "Sizes", null, missing("Not recorded: this result was made by an earlier version."));
  }
  return section(
    "sizes",
    "Sizes",
    found.formats.every(({ embeddingBytes }) => embeddingBytes === 0)
      ? "Weights on disk."
      : "Weights on disk. The darker part is the embedding, and the head where it is a matrix of its own.",
    bars([
      { label: "source", value: found.source, text: figures.bytes(found.source), kind: "source" },
      ...found.formats.map(({ format, bytes, embeddingBytes }) => {
        const share = bytes === 0 ? 0 : embeddingBytes / bytes;
        if (embeddingBytes === 0)
          return { label: format, value: bytes, text: figures.bytes(bytes), kind: "result" as const };
        const name = `embedding ${figures.bytes(embeddingBytes)}, ${figures.percent(share)}`;
        return {
          label: format,
          value: bytes,
          text: `${figures.bytes(bytes)}, ${Math.round(share * 100)} % embedding`,
          kind: "result" as const,
          part: { value: embeddingBytes, name },
        };
      }),
    ]),
  );
}
