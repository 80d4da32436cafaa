import { UnsupportedConstruct } from "../template-error.js";

/*
 * Templates may print today's date. The same text must give the same tokens tomorrow, or a run could not be continued:
 * for a template it is always midnight at the beginning of Friday, 26 July 2024.
 */
const directives: Readonly<Record<string, string>> = {
  "%": "%",
  a: "Fri",
  A: "Friday",
  b: "Jul",
  B: "July",
  c: "Fri Jul 26 00:00:00 2024",
  d: "26",
  D: "07/26/24",
  e: "26",
  f: "000000",
  F: "2024-07-26",
  h: "Jul",
  H: "00",
  I: "12",
  j: "208",
  m: "07",
  M: "00",
  p: "AM",
  R: "00:00",
  S: "00",
  T: "00:00:00",
  u: "5",
  w: "5",
  x: "07/26/24",
  X: "00:00:00",
  y: "24",
  Y: "2024",
  z: "",
  Z: "",
};

/** `strftime(format)` of that date. `%-d` leaves out zeros at the beginning. */
export function formatDate(format: string): string {
  return format.replaceAll(/%(-?)([\s\S])/g, (whole, dash: string, letter: string) => {
    const written = directives[letter];
    if (written === undefined) throw new UnsupportedConstruct(`the date format ${whole}`);
    return dash === "" ? written : written.replace(/^0(?=\d)/, "");
  });
}
