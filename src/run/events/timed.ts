/** An event and when it happened: an ISO 8601 date with milliseconds, in UTC. */
export type Timed<E> = E extends unknown ? E & { readonly time: string } : never;

/** An event that happens now. */
export function timed<E extends object>(event: E): Timed<E> {
  return { ...event, time: new Date().toISOString() } as Timed<E>;
}
