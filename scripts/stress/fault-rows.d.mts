/** Fault, what is expected, the file of its tests, and a pattern of their names. */
export declare const FAULT_ROWS: readonly (readonly [fault: string, expected: string, file: string, titles: RegExp])[];
