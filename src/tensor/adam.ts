import { noGrad } from "./autograd.js";
import { callInPlace } from "./call.js";
import { hasKernel } from "./engine/dispatch.js";
import { keep, scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Least and most that a parameter may be. */
export type Bounds = readonly [least: number, most: number];

/** Parameters that share a learning rate. */
export interface ParameterGroup {
  readonly parameters: readonly Tensor[];
  /** The rate at schedule 1. */
  readonly rate: number;
  /** What every step puts them back into. */
  readonly bounds?: Bounds | undefined;
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

interface Entry {
  readonly parameter: Tensor;
  readonly rate: number;
  readonly bounds: Bounds;
  readonly first: Tensor;
  readonly second: Tensor;
}

/** Adam (Kingma and Ba, 2015) over groups of parameters; it owns the moments, not the parameters. */
export class Adam {
  readonly #entries: readonly Entry[];
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #eps: number;
  #steps = 0;

  constructor(groups: readonly ParameterGroup[], options: AdamOptions = {}) {
    this.#beta1 = options.beta1 ?? 0.9;
    this.#beta2 = options.beta2 ?? 0.999;
    this.#eps = options.eps ?? 1e-8;
    this.#entries = groups.flatMap(({ parameters, rate, bounds = [-Infinity, Infinity] }) =>
      parameters.map((parameter) => {
        const zeros = (): Tensor => keep(Tensor.zeros(parameter.shape, { device: parameter.device }));
        return { parameter, rate, bounds, first: zeros(), second: zeros() };
      }),
    );
  }

  /** First and second moments of every parameter, in order: with `steps`, all that a continued training needs. */
  get moments(): readonly Tensor[] {
    return this.#entries.flatMap(({ first, second }) => [first, second]);
  }

  /** Steps taken by `step`; set by who puts moments back. */
  get steps(): number {
    return this.#steps;
  }

  set steps(count: number) {
    this.#steps = count;
  }

  /** Forgets what it has seen of the gradients. */
  reset(): void {
    noGrad(() => {
      for (const { first, second } of this.#entries) {
        first.zero_();
        second.zero_();
      }
    });
    this.#steps = 0;
  }

  /** One step along the accumulated gradients, which it clears. `schedule` scales every rate. */
  step(schedule = 1): void {
    const [entry] = this.#entries;
    if (entry === undefined) return;
    scope(() => {
      const pace = Float32Array.from(this.paceAt(++this.#steps, schedule));
      this.stepAt(Tensor.from(pace, undefined, { device: entry.parameter.device }));
    });
  }

  /** What step `count`, from 1, multiplies rates with, and the root of its correction of second moments. */
  paceAt(count: number, schedule: number): readonly [number, number] {
    return [schedule / (1 - this.#beta1 ** count), Math.sqrt(1 - this.#beta2 ** count)];
  }

  /**
   * The same with a pace that lies on the device, fp32 `[2]`: a step that can be recorded. With `finite` 0, fp32 `[1]`,
   * it changes nothing but the gradients, which it clears.
   */
  stepAt(pace: Tensor, finite: Tensor | null = null): void {
    noGrad(() =>
      scope(() => {
        const moved = this.#entries.flatMap((entry) => {
          const gradient = entry.parameter.grad;
          return gradient === null ? [] : [{ ...entry, gradient }];
        });
        const [first] = moved;
        if (first === undefined) return;
        if (hasKernel(fused, first.parameter)) {
          callInPlace(fused, [
            moved.map((entry) => entry.parameter),
            moved.map((entry) => entry.gradient),
            moved.map((entry) => entry.first),
            moved.map((entry) => entry.second),
            moved.map((entry) => entry.rate),
            moved.map((entry) => entry.bounds[0]),
            moved.map((entry) => entry.bounds[1]),
            ...[pace, finite, this.#beta1, this.#beta2, this.#eps],
          ]);
        } else if (finite === null || finite.item() !== 0) {
          const [factor = 1, correction2 = 1] = pace.toFloat32Array();
          for (const entry of moved) scope(() => this.#move(entry, entry.gradient, factor, correction2));
        }
        for (const { parameter } of moved) parameter.clearGrad();
      }),
    );
  }

  #move(
    { parameter, rate, bounds, first, second }: Entry,
    gradient: Tensor,
    factor: number,
    correction2: number,
  ): void {
    first.mul_(this.#beta1).add_(gradient, 1 - this.#beta1);
    second.mul_(this.#beta2).addcmul_(gradient, gradient, 1 - this.#beta2);
    parameter.addcdiv_(first, second.sqrt().div_(correction2).add_(this.#eps), -rate * factor);
    if (bounds.some(Number.isFinite)) parameter.clamp_(...bounds);
  }

  dispose(): void {
    for (const { first, second } of this.#entries) {
      first.dispose();
      second.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
