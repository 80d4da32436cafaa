import {
  CalibrationError,
  CheckpointError,
  CrossblockError,
  EnvironmentError,
  FormatError,
  InputError,
  ModelError,
  OptionError,
} from "../../errors.js";
import { TensorError } from "../../tensor/tensor-error.js";
import { EngineError } from "./engine-error.js";

/** An error as it crosses from the worker: structured cloning would drop its class and fields. */
export interface ErrorMessage {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Own fields that are plain data; a CrossblockError's and those of its subclasses. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: ErrorMessage | undefined;
}

const classes = new Map<string, { readonly prototype: Error }>(
  [
    Error,
    TypeError,
    RangeError,
    SyntaxError,
    CrossblockError,
    InputError,
    EnvironmentError,
    CheckpointError,
    ModelError,
    CalibrationError,
    OptionError,
    FormatError,
    TensorError,
    EngineError,
  ].map((errorClass) => [errorClass.name, errorClass]),
);

const notFields = new Set(["name", "message", "stack", "cause"]);

export function errorToMessage(thrown: unknown, depth = 0): ErrorMessage {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const fields = Object.entries(error).filter(([key, value]) => !notFields.has(key) && isPlain(value));
  return {
    name: nameOf(error),
    message: error.message,
    stack: error.stack,
    fields: Object.fromEntries(fields),
    cause: error.cause === undefined || depth > 3 ? undefined : errorToMessage(error.cause, depth + 1),
  };
}

/** The error again, with its class where it is one of crossblock's or the language's. */
export function errorFromMessage(message: ErrorMessage): Error {
  const errorClass = classes.get(message.name) ?? Error;
  const error = Object.create(errorClass.prototype) as Error;
  const hidden = { enumerable: false, writable: true, configurable: true };
  Object.defineProperty(error, "message", { ...hidden, value: message.message });
  Object.defineProperty(error, "stack", { ...hidden, value: message.stack });
  if (message.cause !== undefined) {
    Object.defineProperty(error, "cause", { ...hidden, value: errorFromMessage(message.cause) });
  }
  return Object.assign(error, { name: message.name }, message.fields);
}

// A subclass that this file does not know travels as its nearest known ancestor.
function nameOf(error: Error): string {
  for (let at: unknown = error; at instanceof Error; at = Object.getPrototypeOf(at)) {
    const name = at.constructor.name;
    if (classes.has(name)) return name;
  }
  return error.constructor.name === "Error" || classes.has(error.name) ? error.name : "Error";
}

function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPlain);
  return value === null || ["string", "number", "boolean", "undefined"].includes(typeof value);
}
