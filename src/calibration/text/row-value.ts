import { Float, type Value } from "../chat/jinja/values.js";

/**
 * A cell of a table as a template sees it. Integers of 64 bits come as bigints.
 *
 * @throws TypeError for what JSON has no form for, such as dates and bytes.
 */
export function rowValue(cell: unknown): Value {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === "string" || typeof cell === "boolean") return cell;
  if (typeof cell === "number") return Number.isSafeInteger(cell) ? cell : new Float(cell);
  if (typeof cell === "bigint") return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  if (Array.isArray(cell)) return cell.map(rowValue);
  if (typeof cell === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(cell))) {
    return new Map(Object.entries(cell).map(([key, value]) => [key, rowValue(value)]));
  }
  throw new TypeError("a cell that is neither text, number, list nor struct");
}
