import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json/json.js";
import type { ExportSource } from "../../contract/export-source.js";
import { schemeLabel } from "../../model-label.js";
import { SCALE_CHOICES, type ScaleChoice } from "../layout.js";

/** What a folder records of how it was written, so that one that travels alone can be compared with its result. */
export interface Provenance {
  readonly scales: ScaleChoice;
  readonly scheme: string | null;
}

/** The member `crossblock` of `config.json`: readers of MLX know none of this name and leave it alone. */
export function provenanceMember(source: ExportSource, scales: ScaleChoice): JsonObject {
  const scheme = schemeLabel(source);
  return { mlx_scales: scales, ...(scheme !== null && { scheme }) };
}

/** What that member says; null where there is none. */
export function provenanceOf(member: JsonValue | undefined): Provenance | null {
  if (!isJsonObject(member)) return null;
  const { mlx_scales: given, scheme } = member;
  const scales = SCALE_CHOICES.find((choice) => choice === given);
  return scales === undefined ? null : { scales, scheme: typeof scheme === "string" ? scheme : null };
}
