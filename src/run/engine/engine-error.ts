import { EnvironmentError } from "../../errors.js";

/** The engine's worker thread ended while it had work to do. */
export class EngineError extends EnvironmentError {}
