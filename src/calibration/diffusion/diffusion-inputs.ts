import { ModelError } from "../../errors.js";

/** An input or output of a network, as its file describes it. */
export interface DescribedPort {
  readonly name: string;
  readonly dataType: string;
  readonly shape: readonly (number | string | null)[] | null;
}

/** An input whose shape is known. */
export interface InputPort {
  readonly name: string;
  readonly dataType: string;
  /** The batch first. */
  readonly shape: readonly (number | string | null)[];
}

/** The inputs of a diffusion network by what they are for. */
export interface DiffusionInputs {
  /** What is denoised. */
  readonly sample: InputPort;
  /** The time step or noise level, one number for each image. */
  readonly time: InputPort;
  /** What else it is given: one number for each image, such as a class. */
  readonly conditions: readonly InputPort[];
}

/** Names that mean the time, where several inputs are single numbers. */
const TIME = /^(t|ts|time|times|time_?steps?|sigmas?|noise_?levels?|log_?sigma|noise_labels?|gammas?)$/i;

/**
 * What each input of a network is for: the sample has the shape of the output; the time is a single number for each image, and
 * of several the one whose name says so.
 *
 * @param given names by role, where the user says them
 * @throws ModelError where that does not follow
 */
export function diffusionInputs(
  file: string,
  inputs: readonly DescribedPort[],
  output: DescribedPort,
  given: { readonly sample?: string; readonly time?: string } = {},
): DiffusionInputs {
  const known = inputs.filter((port): port is InputPort => port.shape !== null);
  const isSingle = ({ shape }: InputPort): boolean => shape.slice(1).every((size) => size === 1);
  const describe = (ports: readonly DescribedPort[]): string =>
    ports.map(({ name, shape }) => `${name} [${shape?.map((size) => size ?? "?").join(", ") ?? "?"}]`).join(", ");
  const only = (role: "sample" | "time", possible: readonly InputPort[], rule: string, found = possible): InputPort => {
    const name = given[role];
    const named = name === undefined ? found : known.filter((port) => port.name === name);
    const [port] = named;
    if (port !== undefined && named.length === 1) return port;
    throw new ModelError({
      what:
        name === undefined
          ? `${possible.length === 0 ? "none" : possible.length} of its inputs could be the ${role}: ${rule}`
          : `it has no input "${name}"`,
      where: file,
      why: `its inputs are ${describe(inputs)}`,
      next:
        possible.length === 0 && name === undefined
          ? "give the network of a diffusion model, or for another one a recipe such as brecq, with --calibration"
          : `name the ${role} with --set sampling.${role}Input=NAME`,
    });
  };
  const shape = output.shape?.slice(1).join() ?? "";
  const sample = only(
    "sample",
    known.filter((port) => !isSingle(port) && (shape === "" || port.shape.slice(1).join() === shape)),
    "it has the shape of the output",
  );
  const single = known.filter((port) => isSingle(port) && port !== sample);
  const named = single.filter(({ name }) => TIME.test(name));
  const time = only("time", single, "it is one number for each image", single.length === 1 ? single : named);
  const rest = inputs.filter(({ name }) => name !== sample.name && name !== time.name);
  const conditions = single.filter((port) => rest.includes(port));
  if (conditions.length === rest.length) return { sample, time, conditions };
  throw new ModelError({
    what: `it has inputs that a sampler has nothing for: ${describe(rest.filter((port) => !conditions.some((each) => each === port)))}`,
    where: file,
    why: "text and images as conditions are not supported",
    next: "export the network with sample, time and single numbers as inputs, or give prepared tensors as calibration",
  });
}
