import type { RotaryScaling, RotarySpec } from "../../spec/decoder-spec.js";

/** What cosines and sines are multiplied by; `beyond` as for the frequencies. */
export function rotaryAmplitude(scaling: RotaryScaling, beyond = false): number {
  if (beyond && scaling.kind === "longrope" && scaling.longAmplitude !== undefined) return scaling.longAmplitude;
  return scaling.kind === "yarn" || scaling.kind === "longrope" ? scaling.amplitude : 1;
}

/**
 * Radians per position of each pair that turns, `width / 2` values.
 *
 * @param beyond those that LongRoPE has for sequences longer than the original context
 */
export function rotaryFrequencies(
  { theta, scaling, width }: Pick<RotarySpec, "theta" | "scaling" | "width">,
  beyond = false,
): Float64Array {
  return Float64Array.from({ length: width / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / width);
    switch (scaling.kind) {
      case "none":
        return frequency;
      case "linear":
        return frequency / scaling.factor;
      case "llama3":
        return llama3Frequency(frequency, scaling);
      case "yarn":
        return yarnFrequency(frequency, i, theta, width, scaling);
      case "longrope":
        return frequency / ((beyond ? scaling.long : scaling.short)[i] ?? Number.NaN);
      case "proportional":
        return i < scaling.turning ? frequency / scaling.factor : 0;
    }
  });
}

// Long waves are stretched by the factor, short ones kept, those between blended by their length.
function llama3Frequency(frequency: number, scaling: Extract<RotaryScaling, { kind: "llama3" }>): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > originalContext / lowFrequencyFactor) return frequency / factor;
  if (wavelength < originalContext / highFrequencyFactor) return frequency;
  const smooth = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

function yarnFrequency(
  frequency: number,
  pair: number,
  theta: number,
  width: number,
  scaling: Extract<RotaryScaling, { kind: "yarn" }>,
): number {
  const { factor, fastTurns, slowTurns, wholeDimensions, originalContext } = scaling;
  // The pair that turns so often in the original context.
  const pairOf = (turns: number): number =>
    (width * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [low, high] = [pairOf(fastTurns), pairOf(slowTurns)];
  const begin = Math.max(0, wholeDimensions ? Math.floor(low) : low);
  const end = Math.min(width - 1, wholeDimensions ? Math.ceil(high) : high);
  const stretched = Math.min(1, Math.max(0, (pair - begin) / (begin === end ? 0.001 : end - begin)));
  return (frequency / factor) * stretched + frequency * (1 - stretched);
}
