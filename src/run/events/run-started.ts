import { randomUUID } from "node:crypto";
import { packageVersion } from "../../package-version.js";
import type { RunStartedEvent } from "./events.js";

/** Raised when a field of events or of `crossblock.json` is renamed, removed or gets another meaning; new fields don't raise it. */
export const SCHEMA_VERSION = 2;

/** The first event of a run, with an id that no other run has. */
export function runStarted(command: RunStartedEvent["command"]): RunStartedEvent {
  return { event: "run", schemaVersion: SCHEMA_VERSION, id: randomUUID(), command, version: packageVersion() };
}
