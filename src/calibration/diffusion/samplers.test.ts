import { describe, expect, it } from "vitest";
import { OptionError } from "../../errors.js";
import { ImageNoise } from "./image-noise.js";
import { ddpmSchedule, type NoiseSchedule, remainingVariance } from "./noise-schedule.js";
import { sample } from "./sample.js";
import { type Prediction, type Sampler, timesOf } from "./sampler.js";
import { consistency, edm, edmSchedule, noiseLevels } from "./sigma-samplers.js";
import { chosenSteps } from "./step-choice.js";
import { ddim, ddpm, type StepSampling } from "./step-samplers.js";

/** What comes out where the network predicts, element by element, what `predict` says. */
function run(
  sampler: Sampler,
  predict: (x: number, time: number, i: number) => number,
  images = [0],
  size = 64,
): Float32Array {
  const way = sample(sampler, new ImageNoise(3, images, size));
  let turn = way.next();
  while (turn.done !== true) {
    const { x, time } = turn.value;
    turn = way.next(x.map((value, i) => predict(value, time, i)));
  }
  return turn.value;
}

const sampling: StepSampling = {
  schedule: ddpmSchedule,
  steps: 20,
  choice: "linear",
  prediction: "epsilon",
  clip: null,
};

const euler = { clip: null, correction: "none" } as const;
const heun = { clip: null, correction: "heun" } as const;

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

describe("schedules", () => {
  it("leave of an image what DDPM's leaves", () => {
    const remaining = remainingVariance(ddpmSchedule);
    expect(remaining[0]).toBeCloseTo(0.9999, 12);
    expect(remaining[999]).toBeCloseTo(4.0358e-5, 8);
    const scaled = remainingVariance({ ...ddpmSchedule, kind: "scaled-linear", betaStart: 0.00085, betaEnd: 0.012 });
    expect(scaled[999]).toBeCloseTo(0.00466, 5);
    const cosine = remainingVariance({ ...ddpmSchedule, kind: "cosine" });
    expect(cosine[499]).toBeCloseTo(Math.cos(((0.5 + 0.008) / 1.008) * (Math.PI / 2)) ** 2 / 0.99984, 3);
    for (const kind of ["linear", "scaled-linear", "cosine"] as const satisfies NoiseSchedule["kind"][]) {
      const values = remainingVariance({ ...ddpmSchedule, kind });
      expect(values.every((value, i) => value > 0 && value < (values[i - 1] ?? 1))).toBe(true);
    }
  });

  it("take steps evenly or by squares, all different, the most noise first", () => {
    expect(chosenSteps(1000, 5, "linear")).toEqual([800, 600, 400, 200, 0]);
    expect(chosenSteps(1000, 3, "linear")).toEqual([666, 333, 0]);
    expect(chosenSteps(1000, 5, "quadratic")).toEqual([800, 450, 200, 50, 0]);
    for (const steps of [100, 500, 1000]) {
      const chosen = chosenSteps(1000, steps, "quadratic");
      expect([new Set(chosen).size, Math.max(...chosen) < 1000, Math.min(...chosen)]).toEqual([steps, true, 0]);
    }
    expect(() => chosenSteps(10, 11, "linear")).toThrow(OptionError);
    expect(() => chosenSteps(10, 11, "linear")).toThrow(/Next: choose 1 to 10/);
  });

  it("pass the noise levels of EDM", () => {
    const levels = noiseLevels({ ...edmSchedule, steps: 18 });
    expect([levels[0], levels[17]]).toEqual([expect.closeTo(80, 9), expect.closeTo(0.002, 12)]);
    expect([levels[1], levels[2]]).toEqual([expect.closeTo(57.586, 3), expect.closeTo(40.7856, 3)]);
  });
});

describe("samplers", () => {
  const remaining = remainingVariance(ddpmSchedule);

  it.each<Prediction>(["epsilon", "sample", "velocity"])(
    "end at the image that a perfect network of %s knows",
    (prediction) => {
      const image = (i: number): number => Math.sin(i);
      const perfect = (x: number, time: number, i: number): number => {
        const [a, b] = [Math.sqrt(remaining[time] ?? 0), Math.sqrt(1 - (remaining[time] ?? 0))];
        const noise = (x - a * image(i)) / b;
        return { epsilon: noise, sample: image(i), velocity: a * noise - b * image(i) }[prediction];
      };
      for (const sampler of [ddim({ ...sampling, prediction }, 0), ddpm({ ...sampling, prediction }, "large")]) {
        run(sampler, perfect).forEach((value, i) => {
          expect(value).toBeCloseTo(image(i), 3);
        });
      }
    },
  );

  it("are the same for DDPM and for DDIM with eta 1", () => {
    const [a, b] = [ddpm(sampling, "small"), ddim(sampling, 1)];
    expect(a.steps).toHaveLength(20);
    a.steps.forEach((step, i) => {
      const other = b.steps[i] as typeof step;
      for (const key of ["time", "skip", "out", "keep", "clean", "noise"] as const) {
        expect(step[key]).toBeCloseTo(other[key], 10);
      }
    });
  });

  it("keep the deviation of Gaussian data, whose best predictions are known", () => {
    const width = 0.5;
    const epsilon = (x: number, time: number): number => {
      const abar = remaining[time] ?? 0;
      const image = (Math.sqrt(abar) * width ** 2 * x) / (abar * width ** 2 + 1 - abar);
      return (x - Math.sqrt(abar) * image) / Math.sqrt(1 - abar);
    };
    const many = { ...sampling, steps: 250 };
    for (const sampler of [
      ddim(many, 0),
      ddim({ ...many, choice: "quadratic" }, 0),
      ddim(many, 0.5),
      ddpm(many, "small"),
    ]) {
      expect(deviation(run(sampler, epsilon, [0, 1, 2, 3], 1000)) / width).toBeCloseTo(1, 1);
    }
    const denoised = (x: number, sigma: number): number => (x * width ** 2) / (width ** 2 + sigma ** 2);
    const network = { time: "sigma", data: "inside" } as const;
    const levels = { ...edmSchedule, steps: 60 };
    expect(deviation(run(edm(levels, network, euler), denoised, [0, 1, 2, 3], 1000)) / width).toBeCloseTo(1, 1);
  });

  it("precondition as EDM does: a network that predicts nothing leaves what the noise lets through", () => {
    const outside = edm({ ...edmSchedule, steps: 5 }, { time: "log-sigma", data: 0.5 }, euler);
    for (const { time, scale, skip, out } of outside.steps) {
      const sigma = Math.exp(4 * time);
      // The network's input and its target have variance 1, whatever the noise: equations 117 and 131.
      expect((0.25 + sigma ** 2) * scale ** 2).toBeCloseTo(1, 9);
      expect((1 - skip) ** 2 * 0.25 + skip ** 2 * sigma ** 2).toBeCloseTo(out ** 2, 9);
    }
    const zero = (x: number): number => x * 0;
    const inside = edm({ ...edmSchedule, steps: 5 }, { time: "sigma", data: "inside" }, euler);
    const denoised = (x: number, sigma: number): number => (x * 0.25) / (0.25 + sigma ** 2);
    const [a, b] = [run(outside, zero), run(inside, denoised)];
    a.forEach((value, i) => {
      expect(value).toBeCloseTo(b[i] ?? 0, 4);
    });
  });

  it("correct steps as Heun does: fewer of them leave less of an error, at the same noise levels", () => {
    const width = 0.5;
    // Of Gaussian data: dx / dsigma = x sigma / (width^2 + sigma^2), so x falls by sqrt(width^2 / (width^2 + start^2)).
    const denoised = (x: number, sigma: number): number => (x * width ** 2) / (width ** 2 + sigma ** 2);
    const network = { time: "sigma", data: "inside" } as const;
    const start = new ImageNoise(3, [0], 64).next();
    const lost = (steps: number, options: typeof euler | typeof heun): number => {
      const found = run(edm({ ...edmSchedule, steps }, network, options), denoised);
      const exact = (80 * width) / Math.hypot(width, 80);
      return Math.max(...found.map((value, i) => Math.abs(value / (exact * (start[i] ?? 1)) - 1)));
    };
    expect(edm({ ...edmSchedule, steps: 18 }, network, heun).steps).toHaveLength(35);
    expect(timesOf(edm({ ...edmSchedule, steps: 18 }, network, heun))).toEqual(
      timesOf(edm({ ...edmSchedule, steps: 18 }, network, euler)),
    );
    expect(lost(18, heun)).toBeLessThan(lost(35, euler));
    // An order of two: half the step, a quarter of the error.
    expect(lost(40, heun) / lost(80, heun)).toBeGreaterThan(3);
    expect(lost(40, euler) / lost(80, euler)).toBeLessThan(2.5);
  });

  it("correct one step by hand", () => {
    const network = { time: "sigma", data: "inside" } as const;
    const sampler = edm({ steps: 2, sigmaMin: 1, sigmaMax: 4, rho: 1 }, network, heun);
    expect(sampler.steps.map(({ time }) => time)).toEqual([4, 1, 1]);
    // x = 4 z. The network says 1, then 2, then 3. Slope (4 z - 1) / 4; Euler's x' = 4 z - 3 (4 z - 1) / 4 = z + 3/4. Slope there
    // z + 3/4 - 2 = z - 5/4. Heun: 4 z - 3/2 ((4 z - 1) / 4 + z - 5/4) = z + 9/4, and the last step gives 3.
    const seen: number[] = [];
    let call = 0;
    const result = run(sampler, (x, _, i) => {
      if (i === 0) {
        seen.push(x);
        call++;
      }
      return call;
    });
    const z = new ImageNoise(3, [0], 64).next()[0] ?? 0;
    [4 * z, z + 0.75, z + 2.25].forEach((value, i) => {
      expect(seen[i]).toBeCloseTo(value, 5);
    });
    expect(result[0]).toBe(3);
  });

  it("add the noise of the next level to what a consistency network gives", () => {
    const sampler = consistency({ ...edmSchedule, steps: 4 }, { time: "sigma", data: "inside" }, null);
    const seen: number[] = [];
    const result = run(sampler, (x, sigma, i) => {
      if (i === 0) seen.push(sigma, x);
      return 0.25;
    });
    expect([...result]).toEqual(Array(64).fill(0.25));
    expect(timesOf(sampler)).toHaveLength(4);
    const levels = noiseLevels({ ...edmSchedule, steps: 4 });
    const noise = new ImageNoise(3, [0], 64);
    const expected = levels.flatMap((sigma, i) => {
      const z = noise.next()[0] ?? 0;
      return [sigma, i === 0 ? 80 * z : 0.25 + Math.sqrt(sigma ** 2 - 0.002 ** 2) * z];
    });
    seen.forEach((value, i) => {
      expect(value / (expected[i] ?? 1)).toBeCloseTo(1, 5);
    });
  });

  it("cut images where they are told to", () => {
    const all = run(ddim({ ...sampling, clip: 0.3 }, 0), () => 0);
    expect(Math.max(...all.map(Math.abs))).toBeCloseTo(0.3, 6);
  });

  it("draw the same noise for an image in every batch, and other noise for other images and seeds", () => {
    const of = (seed: number, images: readonly number[]): Float32Array[] => {
      const noise = new ImageNoise(seed, images, 500);
      noise.next();
      const all = noise.next();
      return images.map((_, i) => all.slice(500 * i, 500 * (i + 1)));
    };
    const together = of(7, [0, 1, 2]);
    expect(of(7, [2])[0]).toEqual(together[2]);
    expect(together[1]).not.toEqual(together[0]);
    expect(of(8, [1])[0]).not.toEqual(together[1]);
    expect(together.map(deviation).every((value) => Math.abs(value - 1) < 0.1)).toBe(true);
    const mean = together.flatMap((values) => [...values]).reduce((sum, value) => sum + value, 0) / 1500;
    expect(Math.abs(mean)).toBeLessThan(0.1);
  });
});
