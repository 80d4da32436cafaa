import { readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** What tells the processes of this machine from others by: containers on one machine may share a name, but not their process ids. */
export function hostName(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
