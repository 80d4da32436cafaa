import type { DoneEvent, ProgressEvent, RunStartedEvent, WarningEvent } from "./events.js";

/** What will be uploaded, and where to. */
export interface PushPlanEvent {
  readonly event: "push-plan";
  readonly result: string;
  /** `owner/name` on the hub. */
  readonly repository: string;
  readonly branch: string;
  /** By their names in the repository. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytes: number;
  /** What lies in the result's folder and is not of a result. */
  readonly leftOut: readonly string[];
}

/** The repository holds the result. */
export interface PushedEvent {
  readonly event: "pushed";
  readonly repository: string;
  /** Its page. */
  readonly url: string;
  /** Null where nothing had to be uploaded. */
  readonly commit: string | null;
  readonly uploaded: number;
  readonly bytes: number;
  /** Files that were there already, by their hashes. */
  readonly skipped: number;
}

/** What `pushResult` yields; `done` comes last. */
export type PushEvent = RunStartedEvent | ProgressEvent | WarningEvent | PushPlanEvent | PushedEvent | DoneEvent;
