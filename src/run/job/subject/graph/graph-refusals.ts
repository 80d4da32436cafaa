import { CalibrationError, ModelError, OptionError } from "../../../../errors.js";
import type { GivenOptions } from "../../../options/options.js";
import type { ExampleSource } from "../../../source/graph/example-source.js";
import type { GraphFile } from "../../../source/graph/graph-file.js";

/** What is wrong with a graph or its examples, and what to do. */
export const graphRefusals = {
  quantizedAlready({ path }: GraphFile): ModelError {
    return new ModelError({
      what: "the network is quantized already",
      where: path,
      why: "it has QuantizeLinear or DequantizeLinear",
      next: "give the network in floating point that it was made from",
    });
  },

  withoutLayers({ path, graph }: GraphFile): ModelError {
    if ([...graph.constants.values()].some(({ dataType, shape }) => dataType === "float64" && shape.length > 1)) {
      return new ModelError({
        what: "it has no layer to quantize: its weights are fp64",
        where: path,
        next: "convert the network to fp32, model.float() before the export in PyTorch",
      });
    }
    return new ModelError({
      what: "it has no layer to quantize: no convolution and no product with a stored weight",
      where: path,
      why: "a weight that several nodes share, or that is computed, is none",
      next: "see its layers: crossblock inspect MODEL; or export the network with its weights as constants",
    });
  },

  withoutExamples({ recipe, model }: GivenOptions): CalibrationError {
    return new CalibrationError({
      what: `${recipe} needs examples to calibrate on`,
      where: model,
      next: "give --calibration with a folder of images, or a .npy or .safetensors file",
    });
  },

  withoutTimeSteps({ recipe, model }: GivenOptions): OptionError {
    return new OptionError({
      where: `--recipe ${recipe}`,
      what: "needs what a sampler gives the network of a diffusion model at each time step",
      why: `${model} is calibrated on examples`,
      next: "give --sampler ddim --steps 50 in place of --calibration, or use another recipe (crossblock recipes)",
    });
  },

  /** Calibration examples beside a sampler's. */
  twoSources({ model }: GivenOptions): OptionError {
    return new OptionError({
      where: "--calibration",
      what: "goes with no --sampler",
      why: `the sampler's run in full precision makes the examples of ${model}`,
      next: "leave out one of them",
    });
  },

  tooFew({ count, kind, where }: ExampleSource, asked: number): CalibrationError {
    return new CalibrationError({
      what: `there are ${count} ${kind === "images" ? "images" : "examples"}, and --samples asks for ${asked}`,
      where,
      next: `give more of them, or --samples ${count} or less`,
    });
  },

  /** Fewer examples than a sampler has steps, for a recipe that finds ranges for each. */
  fewerThanSteps({ least = 0, where }: ExampleSource, asked: number): CalibrationError {
    return new CalibrationError({
      what: `--samples ${asked} shows only ${asked} of the ${least} steps of the sampler`,
      where,
      why: "a step that was not seen has no ranges, and the result refuses it",
      next: `give --samples ${least} or more, or leave it out`,
    });
  },

  withoutFp8(): OptionError {
    return new OptionError({
      where: 'option "compute.gradients"',
      what: "fp8 is for the Linears of large language models",
      next: "use --set compute.gradients=auto",
    });
  },
};
