/** What a plan of time is made of: how fast the machine is at what the run does, measured on shapes of its own. */
export interface MachineSpeed {
  /** Floating point operations a second of a matrix product in the dtype of the run's products. */
  readonly flops: number;
  /** The same in fp32, in which second moments are summed and codes are chosen. */
  readonly exactFlops: number;
  /** Seconds that a token takes through a block without gradients, for every weight of its Linears, at `context` tokens. */
  readonly forward: number;
  /** The same of a training step: forward, loss, and back to inputs and weights. */
  readonly training: number;
  /** Seconds that a training step takes for every weight whatever its tokens: fake quantization, there and back, and Adam. */
  readonly perWeight: number;
  /** Seconds that GPTQ takes to choose a code of a Linear of `choosingColumns` columns; 0 where the recipe has no use for it. */
  readonly choosing: number;
  /** What it takes beside that for each of these columns, whatever its rows: on a device, where columns follow each other. */
  readonly choosingColumn: number;
  readonly choosingColumns: number;
  /** What launching the work of a block part by part takes at least, however little there is to compute; 0 on the CPU. */
  readonly launching: {
    /** A pass without gradients. */
    readonly pass: number;
    /** A training step, forward and back. */
    readonly step: number;
  };
  /** A step on a quadratic loss of a Linear, beside its product: of each weight, and of the step; 0 where the recipe takes none. */
  readonly quadratic: { readonly weight: number; readonly step: number };
  /** Tokens of the sequences that were measured: what attention takes depends on it. */
  readonly context: number;
  /** Share of the processors that other programs took meanwhile, 0 to 1. */
  readonly load: number;
  /** What the units of a graph take, which differ; left out for a decoder. */
  readonly units?: readonly UnitSpeed[];
  /** Seconds of a number of a graph's quantized inputs, each time that it passes for its range; left out for a decoder. */
  readonly counting?: number;
}

/** What a unit of a graph takes, in seconds. */
export interface UnitSpeed {
  /** An example on its way through it, without gradients. */
  readonly forward: number;
  /** A training step, whatever its examples. */
  readonly step: number;
  /** What each example of a step adds. */
  readonly example: number;
}

/** Seconds of work, by what it consists of. */
export interface WorkTerms {
  /** Products, norms and what else is done for every token and block. */
  readonly tokens: number;
  readonly attention: number;
  /** What launching takes on a device beyond what is computed. */
  readonly launching: number;
  /** Fake quantization and Adam. */
  readonly weights: number;
  readonly head: number;
  /** Second moments, and the codes that are chosen by them. */
  readonly choosing: number;
  /** Streams that move past blocks. */
  readonly advancing: number;
  /** Losses and errors that are reported. */
  readonly measuring: number;
  readonly writing: number;
}

export const noWork: WorkTerms = {
  tokens: 0,
  attention: 0,
  launching: 0,
  weights: 0,
  head: 0,
  choosing: 0,
  advancing: 0,
  measuring: 0,
  writing: 0,
};

export function secondsOf(terms: WorkTerms): number {
  return Object.values(terms).reduce((sum, seconds) => sum + seconds, 0);
}
