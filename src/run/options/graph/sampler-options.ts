import { z } from "zod";
import type { Sampler } from "../../../calibration/diffusion/sampler.js";
import { consistency, edm } from "../../../calibration/diffusion/sigma-samplers.js";
import { ddim, ddpm } from "../../../calibration/diffusion/step-samplers.js";
import { OptionError } from "../../../errors.js";
import { setting } from "../../../recipe/options/reading.js";

/** The ways from noise to images that there are. */
export const samplerNames = ["ddim", "ddpm", "edm", "consistency"] as const;

const positive = z.number().positive();

const condition = z.strictObject({
  input: z.string().min(1).describe("name of the input"),
  low: z.number().describe("what the first image gets"),
  high: z.number().describe("what the last image gets"),
});

/** Whose run in full precision the network of a diffusion model is calibrated on. */
export const samplerOption = z
  .enum(samplerNames)
  .nullable()
  .default(null)
  .describe(
    "sampler of a diffusion model (ONNX), in place of calibration examples: its run in full precision makes them",
  );

export const stepsOption = z
  .int()
  .min(1)
  .nullable()
  .default(null)
  .describe("steps of that sampler, whose time steps get ranges of their own; null takes 50");

/** What the network of a diffusion model was trained for, and how its sampler goes. */
export const samplingOptions = z
  .strictObject({
    images: z.int().min(1).default(16).describe("images of the run; each step gives as many examples"),
    batch: z.int().min(1).default(16).describe("images that pass the network at once while it runs"),
    prediction: z
      .enum(["epsilon", "sample", "velocity"])
      .default("epsilon")
      .describe("what the network predicts: the noise, the image, or v (ddim, ddpm)"),
    schedule: z
      .enum(["linear", "scaled-linear", "cosine"])
      .default("linear")
      .describe("schedule of the noise that it was trained with (ddim, ddpm)"),
    trainSteps: z.int().min(1).default(1000).describe("time steps that it knows (ddim, ddpm)"),
    betaStart: positive.default(1e-4).describe("variance of the first step's noise (linear, scaled-linear)"),
    betaEnd: positive.default(0.02).describe("variance of the last step's noise (linear, scaled-linear)"),
    choice: z
      .enum(["linear", "quadratic"])
      .default("linear")
      .describe("how the time steps are spread: evenly, or closer where little noise is left (ddim, ddpm)"),
    eta: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("noise that is added at each step: 0 none, 1 as DDPM does (ddim)"),
    variance: z.enum(["small", "large"]).default("small").describe("variance of the added noise (ddpm)"),
    sigmaMin: positive.default(0.002).describe("the lowest noise level (edm, consistency)"),
    sigmaMax: positive.default(80).describe("the highest noise level (edm, consistency)"),
    rho: positive.default(7).describe("how much closer levels lie where little noise is left (edm, consistency)"),
    correction: z
      .enum(["heun", "none"])
      .default("heun")
      .describe(
        "a second look at the end of each step, which doubles the calls of the network and not its noise levels (edm)",
      ),
    noiseInput: z
      .enum(["sigma", "log-sigma"])
      .default("sigma")
      .describe("what the time input gets: the noise level, or log(sigma) / 4 (edm, consistency)"),
    sigmaData: positive
      .nullable()
      .default(null)
      .describe("deviation of its data where EDM's preconditioning is not part of the network; null where it is"),
    clip: positive
      .nullable()
      .default(null)
      .describe("what predicted images are cut to, from minus to plus: 1 for pixels"),
    sampleInput: z
      .string()
      .nullable()
      .default(null)
      .describe("name of the input that is denoised; null finds it by its shape"),
    timeInput: z
      .string()
      .nullable()
      .default(null)
      .describe("name of the time input; null finds it by its shape and name"),
    conditions: z
      .array(condition)
      .readonly()
      .default([])
      .describe("what other inputs get, spread evenly over the images; 0 where nothing is said"),
  })
  .prefault({})
  .describe("how a diffusion model is sampled, and what its network was trained for");

export type SamplingOptions = z.output<typeof samplingOptions>;

/** The model is one of diffusion, and a sampler makes what it is calibrated on. */
export const withSampler = {
  ...setting<{ readonly sampler: string | null }>("", "", ({ sampler }) => sampler !== null),
  text: "--sampler",
  action: "give --sampler ddim",
};

const DEFAULT_STEPS = 50;

/** The sampler that options describe. @throws OptionError for more steps than the network knows, or noise levels that do not fall */
export function samplerOf(
  name: (typeof samplerNames)[number],
  steps: number | null,
  sampling: SamplingOptions,
): Sampler {
  const { schedule: kind, trainSteps, betaStart, betaEnd, sigmaMin, sigmaMax, rho, noiseInput, sigmaData } = sampling;
  const { choice, prediction, clip, eta, variance, correction } = sampling;
  const count = steps ?? DEFAULT_STEPS;
  const byStep = { schedule: { kind, trainSteps, betaStart, betaEnd }, steps: count, choice, prediction, clip };
  const levels = { steps: count, sigmaMin, sigmaMax, rho };
  if ((name === "edm" || name === "consistency") && sigmaMin >= sigmaMax) {
    throw new OptionError({
      where: "sampling.sigmaMin",
      what: `${sigmaMin} is not below the highest noise level, ${sigmaMax}`,
      next: "give the levels that the network was trained with: --set sampling.sigmaMin=0.002 sampling.sigmaMax=80",
    });
  }
  const network = { time: noiseInput, data: sigmaData ?? "inside" } as const;
  switch (name) {
    case "ddim":
      return ddim(byStep, eta);
    case "ddpm":
      return ddpm(byStep, variance);
    case "edm":
      return edm(levels, network, { clip, correction });
    case "consistency":
      return consistency(levels, network, clip);
  }
}
