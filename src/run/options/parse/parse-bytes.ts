import { OptionError } from "../../../errors.js";

const factors: Readonly<Record<string, number>> = {
  "": 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  KI: 2 ** 10,
  MI: 2 ** 20,
  GI: 2 ** 30,
};

/**
 * Bytes of a size as one writes it: `6GB`, `800 MB`, `4GiB`, `123456`.
 *
 * @throws OptionError when it is none
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([KMGT]|[KMG]i)?B?)$/i.exec(text.trim());
  const factor = factors[(match?.[2] ?? "").toUpperCase()];
  if (match === null || factor === undefined) {
    throw new OptionError({
      where: 'option "maxMemory"',
      what: `"${text}" is no amount of memory`,
      next: "write it like 6GB or 800MB",
    });
  }
  return Math.floor(Number(match[1]) * factor);
}
