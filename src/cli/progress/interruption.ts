import type { RunEvent } from "../../run/events/events.js";
import { formatSeconds } from "../quantities.js";
import { type Place, Places, placeText } from "./places.js";

/** Follows a run, and says what is lost where it is stopped. */
export class Interruption {
  #places = new Places(null);
  /** What is under way, since when. */
  #current: { readonly place: Place; readonly since: number } | null = null;
  #done: Place | null = null;

  /** @param now seconds, of any clock that only goes forward */
  apply(event: RunEvent, now: number): void {
    if (event.event === "plan") this.#places = new Places(event);
    else if (event.event === "window-start") this.#current = { place: this.#places.at(event), since: now };
    else if (event.event === "window-done") {
      this.#done = this.#places.at(event);
      this.#current = null;
    }
  }

  /** What becomes of the work when the run stops now. */
  text(now: number): string {
    const again = "run the same command again: it continues";
    if (this.#current !== null) {
      const { place, since } = this.#current;
      return `${again} with ${placeText(place)}, of which ${formatSeconds(now - since)} are lost`;
    }
    return this.#done === null ? again : `${again} after ${placeText(this.#done)}`;
  }
}
