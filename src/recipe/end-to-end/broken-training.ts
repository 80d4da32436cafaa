import { OptionError } from "../../errors.js";

/** Rates of Adam from which a whole network learns, whatever it is. */
const MODEST = 1e-4;

/**
 * Ends a run whose training of the whole network left a loss or weights that are not finite: codes of such weights would look like a result.
 *
 * @param rate what it was trained at, and the option that says so
 * @param what is not finite
 */
export function brokenTraining(
  recipe: string,
  rate: { readonly option: string; readonly value: number },
  what = "the network's loss is not finite once it is trained",
): OptionError {
  const lower = Math.min(MODEST, rate.value / 10);
  return new OptionError({
    where: `recipe ${recipe}`,
    what,
    why: `it was trained at a rate of ${rate.value} (${rate.option})`,
    next: `give --set ${rate.option}=${lower} and --fresh, other rates that were set by hand left out`,
  });
}
