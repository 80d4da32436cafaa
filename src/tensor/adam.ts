import { noGrad } from "./autograd.js";
import { hasKernel } from "./dispatch.js";
import { keep, scope } from "./scope.js";
import { callInPlace, Tensor } from "./tensor.js";

/** Parameters that share a learning rate. */
export interface ParameterGroup {
  readonly parameters: readonly Tensor[];
  /** The rate at schedule 1. */
  readonly rate: number;
}

export interface AdamOptions {
  /** Decay of the first moment. Defaults to 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment. Defaults to 0.999. */
  readonly beta2?: number;
  /** Defaults to 1e-8. */
  readonly eps?: number;
}

const fused = "crossblock::adam_";

interface Moments {
  readonly parameter: Tensor;
  readonly rate: number;
  readonly first: Tensor;
  readonly second: Tensor;
}

/** Adam (Kingma and Ba, 2015) over groups of parameters; it owns the moments, not the parameters. */
export class Adam {
  readonly #moments: readonly Moments[];
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #eps: number;
  #steps = 0;

  constructor(groups: readonly ParameterGroup[], options: AdamOptions = {}) {
    this.#beta1 = options.beta1 ?? 0.9;
    this.#beta2 = options.beta2 ?? 0.999;
    this.#eps = options.eps ?? 1e-8;
    this.#moments = groups.flatMap(({ parameters, rate }) =>
      parameters.map((parameter) => {
        const zeros = (): Tensor => keep(Tensor.zeros(parameter.shape, { device: parameter.device }));
        return { parameter, rate, first: zeros(), second: zeros() };
      }),
    );
  }

  /** One step along the accumulated gradients, which it clears. `schedule` scales every rate. */
  step(schedule = 1): void {
    this.#steps++;
    const correction1 = 1 - this.#beta1 ** this.#steps;
    const correction2 = Math.sqrt(1 - this.#beta2 ** this.#steps);
    noGrad(() => {
      for (const { parameter, rate, first, second } of this.#moments) {
        scope(() => {
          const gradient = parameter.grad;
          if (gradient === null) return;
          if (hasKernel(fused, parameter)) {
            const size = (rate * schedule) / correction1;
            const constants = [size, this.#beta1, this.#beta2, this.#eps, correction2];
            callInPlace(fused, [[parameter], [gradient], [first], [second], ...constants]);
            parameter.clearGrad();
            return;
          }
          first.mul_(this.#beta1).add_(gradient, 1 - this.#beta1);
          second.mul_(this.#beta2).addcmul_(gradient, gradient, 1 - this.#beta2);
          const denominator = second.sqrt().div_(correction2).add_(this.#eps);
          parameter.addcdiv_(first, denominator, (-rate * schedule) / correction1);
          parameter.clearGrad();
        });
      }
    });
  }

  dispose(): void {
    for (const { first, second } of this.#moments) {
      first.dispose();
      second.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
