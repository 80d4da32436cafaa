/**
 * The text whose tokens every certificate is made with: the beginning of the Constitution of the United States. In plain
 * ASCII, so that tokenizers which compose or normalise characters in different ways agree on it.
 */
export const fixedText =
  "We the People of the United States, in Order to form a more perfect Union, establish Justice, insure domestic " +
  "Tranquility, provide for the common defence, promote the general Welfare, and secure the Blessings of Liberty to " +
  "ourselves and our Posterity, do ordain and establish this Constitution for the United States of America. All " +
  "legislative Powers herein granted shall be vested in a Congress of the United States, which shall consist of a " +
  "Senate and House of Representatives. The House of Representatives shall be composed of Members chosen every second " +
  "Year by the People of the several States, and the Electors in each State shall have the Qualifications requisite " +
  "for Electors of the most numerous Branch of the State Legislature.";

/** Most tokens of it that are used: enough for steady means, few enough for seconds. */
export const fixedTokens = 128;
