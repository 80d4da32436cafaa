/** What every crossblock error tells its reader: what happened, where, why, and what to do next. */
export interface ErrorDetails {
  /** What is wrong, in one clause: "tensor data ends past the end of the file". */
  readonly what: string;
  /** The file, tensor, layer or option concerned. */
  readonly where?: string;
  /** The likely cause, where it is known. */
  readonly why?: string;
  /** The next action: a command to run or a value to change. */
  readonly next: string;
  readonly cause?: unknown;
}

/**
 * The base of all typed errors. The message is one line composed from the details;
 * `exitCode` is what the command line exits with: 2 for bad input, 1 for the environment.
 */
export class CrossblockError extends Error {
  readonly what: string;
  readonly where: string | undefined;
  readonly why: string | undefined;
  readonly next: string;
  readonly exitCode: 1 | 2;

  constructor(details: ErrorDetails, exitCode: 1 | 2) {
    const where = details.where === undefined ? "" : `${details.where}: `;
    const why = details.why === undefined ? "" : ` (${details.why})`;
    super(`${where}${details.what}${why}. Next: ${details.next}`, { cause: details.cause });
    this.name = new.target.name;
    this.what = details.what;
    this.where = details.where;
    this.why = details.why;
    this.next = details.next;
    this.exitCode = exitCode;
  }
}

/** Something the user gave is wrong: a file, an option, a text. Exit code 2. */
export class InputError extends CrossblockError {
  constructor(details: ErrorDetails) {
    super(details, 2);
  }
}

/** Something the machine lacks or refuses: libtorch, a compiler, space, permission. Exit code 1. */
export class EnvironmentError extends CrossblockError {
  constructor(details: ErrorDetails) {
    super(details, 1);
  }
}

/** A safetensors file or a model folder that does not hold what its header or config says. */
export class CheckpointError extends InputError {}

/** A `config.json` or a model family that crossblock can't run. */
export class ModelError extends InputError {}

/** Text or tokens that can't serve as calibration or evaluation data. */
export class CalibrationError extends InputError {}

/** An option, a scheme or a configuration key that doesn't exist or doesn't fit. */
export class OptionError extends InputError {}

/** An export that the format can't hold, or an exported file that disagrees with its result. */
export class FormatError extends InputError {}
