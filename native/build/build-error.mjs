/** Why the native addon cannot be had, in the fields of crossblock's typed errors. */
export class BuildError extends Error {
  /** @param {{ what: string, where?: string, why?: string, next: string }} details */
  constructor({ what, where, why, next }) {
    super(`${where === undefined ? "" : `${where}: `}${what}${why === undefined ? "" : ` (${why})`}. Next: ${next}`);
    this.name = "BuildError";
    this.what = what;
    this.where = where;
    this.why = why;
    this.next = next;
  }
}
