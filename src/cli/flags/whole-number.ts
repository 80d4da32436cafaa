import { OptionError } from "../../errors.js";

/** A parser for a flag that takes an integer of at least `least`. */
export function wholeNumber(flag: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === "") {
      throw new OptionError({
        where: flag,
        what: `"${text}" is no integer of at least ${least}`,
        next: `give ${flag} ${least} or more, as digits, or leave it out`,
      });
    }
    return value;
  };
}
