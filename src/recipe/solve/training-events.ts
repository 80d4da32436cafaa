import type { StepReport, TrainingFault } from "../../reconstruct/reconstruct.js";
import { trainingWarning } from "../job/fault-warnings.js";
import type { RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";

/** Which window trains, of how many, for how long; and what becomes of it when that is given up. */
export interface TrainingPlace {
  readonly window: number;
  readonly windows: number;
  readonly epochs: number;
  readonly fallBack: string;
}

/**
 * The events of a training, with what there is to say besides (`speak`) before each. Returns what the training returns:
 * whether anything was learnt.
 */
export function* trainingEvents(
  job: Pick<RecipeJob, "poll">,
  training: Generator<StepReport | TrainingFault, boolean>,
  { window, windows, epochs, fallBack }: TrainingPlace,
  speak: () => readonly WarningEvent[],
): Generator<RecipeEvent, boolean> {
  const started = performance.now();
  let tokens = 0;
  try {
    for (;;) {
      const next = training.next();
      yield* speak();
      if (next.done === true) return next.value;
      job.poll();
      const report = next.value;
      if ("fault" in report) {
        yield trainingWarning(report, window, fallBack);
        continue;
      }
      tokens += report.tokens;
      const { epoch, step, steps, loss } = report;
      const tokensPerSecond = tokens / ((performance.now() - started) / 1000);
      yield { event: "step", window, windows, epoch, epochs, step, steps, loss, tokensPerSecond };
    }
  } finally {
    // Where the run is stopped, the training ends here too and frees what it holds.
    training.return(false);
  }
}
