import { EnvironmentError } from "../../errors.js";
import { addon } from "./addon.js";
import type { Device } from "./device.js";

const WORKSPACES = "CUBLAS_WORKSPACE_CONFIG";

/** Sizes with which cuBLAS promises the same bits, by its manual: the first is what it takes on a Hopper by itself. */
const FIXED = [":4096:8", ":16:8"];

/**
 * Lets cuBLAS work in a fixed workspace, which its products need in order to sum in one order. To be called in the main
 * thread, before libtorch multiplies on a GPU: it reads the variable of the process once.
 */
export function fixWorkspaces(env: NodeJS.ProcessEnv = process.env): void {
  env[WORKSPACES] ||= FIXED[0];
}

/**
 * From here until it is disposed every operator of libtorch gives the same bits whenever it gets the same input on the same
 * device; one that can't throws a TensorError. Our own kernels always do: none of them adds in an order that
 * depends on which thread comes first. Holds for the whole process.
 *
 * @throws EnvironmentError when the process began with workspaces that cuBLAS promises nothing for
 */
export class DeterministicOperators implements Disposable {
  constructor(device: Device, env: NodeJS.ProcessEnv = process.env) {
    const given = env[WORKSPACES] ?? "";
    if (device.startsWith("cuda") && !FIXED.includes(given)) {
      throw new EnvironmentError({
        where: 'option "deterministic"',
        what: `${WORKSPACES} is "${given}", with which cuBLAS does not promise the same bits`,
        next: `start the process with ${WORKSPACES}=${FIXED[0]}`,
      });
    }
    addon().setDeterministic(true);
  }

  [Symbol.dispose](): void {
    addon().setDeterministic(false);
  }
}
