import { noGrad, scope, type Tensor } from "../../tensor/index.js";

/** How often a network is right. */
export interface Accuracy {
  /** Share of images whose class is the likeliest. */
  readonly top1: number;
  /** Share of images whose class is among the five likeliest; null where there are no more than five. */
  readonly top5: number | null;
  /** Standard error of `top1`; null for a single image. */
  readonly stderr: number | null;
}

const MOST = 5;

/** Counts how often the class of an image is what a network finds likeliest. */
export class ClassAccuracy {
  #count = 0;
  #first = 0;
  #among = 0;
  #ranks = true;

  /** Takes outputs `[images, ...classes]` and the classes of these images. */
  add(outputs: Tensor, classes: readonly number[]): void {
    const rows = noGrad(() =>
      scope(() => {
        const scores = outputs.to("float32").reshape([classes.length, -1]);
        this.#ranks = scores.size(1) > MOST;
        return scores
          .topk(Math.min(MOST, scores.size(1)), 1)
          .indices.to("int32")
          .toArray() as Int32Array;
      }),
    );
    const width = rows.length / classes.length;
    classes.forEach((label, i) => {
      const likeliest = rows.subarray(i * width, (i + 1) * width);
      this.#count++;
      if (likeliest[0] === label) this.#first++;
      if (likeliest.includes(label)) this.#among++;
    });
  }

  get value(): Accuracy {
    const top1 = this.#first / this.#count;
    return {
      top1,
      top5: this.#ranks ? this.#among / this.#count : null,
      stderr: this.#count < 2 ? null : Math.sqrt((top1 * (1 - top1)) / (this.#count - 1)),
    };
  }
}
