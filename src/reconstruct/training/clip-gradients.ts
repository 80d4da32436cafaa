import { noGrad, scope, Tensor } from "../../tensor/index.js";

/**
 * Shortens the gradients of `parameters`, taken together as one vector, to the length `most` where they are longer: all by
 * the same factor, computed on the device, which is not waited for.
 * Source: Pascanu, Mikolov and Bengio (arXiv 1211.5063), algorithm 1.
 */
export function clipGradients(parameters: readonly Tensor[], most: number): void {
  noGrad(() =>
    scope(() => {
      const gradients = parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
      if (gradients.length === 0) return;
      const squares = gradients.map((gradient) => gradient.to("float32").square().sum());
      // Where all are 0 the quotient is infinite, and they stay.
      const factor = Tensor.stack(squares).sum().rsqrt().mul(most).clamp(0, 1);
      for (const gradient of gradients) gradient.mul_(factor);
    }),
  );
}
