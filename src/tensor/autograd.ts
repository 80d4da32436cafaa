import { addon, type Handle } from "./engine/addon.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";
import { TensorError } from "./tensor-error.js";

/** Runs `body` without recording a graph. */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/** Runs `body` recording a graph, inside a `noGrad` too. */
export function enableGrad<T>(body: () => T): T {
  return withGrad(true, body);
}

function withGrad<T>(enabled: boolean, body: () => T): T {
  const before = addon().setGradEnabled(enabled);
  try {
    return body();
  } finally {
    addon().setGradEnabled(before);
  }
}

/**
 * Adds the gradients of scalar `outputs` to the `.grad` of every leaf that requires one.
 * `gradients` are needed for outputs of more than one element.
 */
export function backward(outputs: Tensor | readonly Tensor[], gradients?: readonly Tensor[]): void {
  const list = Array.isArray(outputs) ? (outputs as readonly Tensor[]) : [outputs as Tensor];
  wrapped("backward", list, () =>
    addon().backward(list.map(handleOf), gradients === undefined ? null : gradients.map(handleOf)),
  );
}

/** The gradients of `outputs` with respect to `inputs`; null for an input that plays no part. */
export function gradientsOf(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  seeds?: readonly Tensor[],
): (Tensor | null)[] {
  return wrapped("gradients", outputs, () =>
    addon()
      .gradients(outputs.map(handleOf), seeds === undefined ? null : seeds.map(handleOf), inputs.map(handleOf))
      .map((handle) => (handle === null ? null : Tensor.adopt(handle))),
  );
}

/**
 * An operator of our own. `forward` runs without a graph; `backward` gives the gradient of each
 * input (null for none) from the gradient of the output and the tensors that `forward` saved, which
 * the graph keeps and frees. Its backward can't be differentiated again.
 */
export function differentiable(
  inputs: readonly Tensor[],
  forward: () => { readonly output: Tensor; readonly saved?: readonly Tensor[] },
  backwardOf: (gradient: Tensor, saved: readonly Tensor[]) => readonly (Tensor | null)[],
): Tensor {
  return scope(() => {
    const { output, saved = [] } = noGrad(forward);
    if (isGradEnabled() && inputs.some((input) => input.requiresGrad)) {
      addon().attachBackward(output.handle, inputs.map(handleOf), saved.map(handleOf), (gradientHandle, savedHandles) =>
        scope(() => {
          const kept = savedHandles.map((handle) => Tensor.adopt(handle));
          if (gradientHandle === null) return inputs.map(() => null);
          const results = backwardOf(Tensor.adopt(gradientHandle), kept);
          // The addon takes these handles over and gives them back to libtorch.
          return results.map((entry) => (entry === null ? null : entry.detach().surrender()));
        }),
      );
    }
    return output;
  });
}

function isGradEnabled(): boolean {
  const enabled = addon().setGradEnabled(true);
  addon().setGradEnabled(enabled);
  return enabled;
}

function handleOf(tensor: Tensor): Handle {
  return tensor.handle;
}

/** Runs `body`; what it throws becomes a TensorError of `operator`. */
export function wrapped<T>(operator: string, tensors: readonly Tensor[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof TensorError) throw error;
    throw new TensorError(
      operator,
      tensors.map((tensor) => `[${tensor.shape.join(", ")}]`),
      error,
    );
  }
}
