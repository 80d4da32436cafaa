import { ModelError } from "../../../../errors.js";
import type { Graph } from "../../../../network/index.js";
import type { ExampleSource } from "../../../source/graph/example-source.js";

/**
 * Refuses examples that a network does not take, before anything is computed: inputs of another number, or of other sizes. Inputs
 * of other names are given in their order.
 *
 * @param next what helps
 * @throws ModelError
 */
export function requireInputs({ file, inputs }: Graph, { shapes }: ExampleSource, next: string): void {
  const given = Object.values(shapes);
  if (inputs.length !== given.length) {
    throw new ModelError({
      where: file,
      what: `it has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(", ")}), and an example has ${given.length}`,
      next,
    });
  }
  for (const [at, { name, shape }] of inputs.entries()) {
    const sizes = shapes[name] ?? given[at] ?? [];
    const wanted = shape?.slice(1) ?? null;
    if (wanted === null) continue;
    const fits =
      wanted.length === sizes.length && wanted.every((size, i) => typeof size !== "number" || size === sizes[i]);
    if (fits) continue;
    const turned = [...wanted].sort().join() === [...sizes].sort().join();
    throw new ModelError({
      where: `${file}, input "${name}"`,
      what: `it takes [${wanted.map((size) => size ?? "?").join(", ")}], and an example is [${sizes.join(", ")}]`,
      ...(turned && { why: "the sizes are the same ones, in another layout" }),
      next,
    });
  }
}
