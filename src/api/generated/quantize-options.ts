// Written by `npm run pages` from the schemas of the options; change those, and run it again.
import type { SchemeName } from "../../quant/scheme.js";

/** Options of `quantize`: those of the command line by the same names, and a signal that stops it. */
export interface QuantizeOptions {
  /**
   * Model folder (config.json, tokenizer.json, safetensors), owner/name on the Hugging Face Hub, or an ONNX file
   * of any network.
   *
   * Command line: the argument `model`.
   */
  readonly model: string;
  /**
   * Branch, tag or commit of a model of the hub, as owner/name@revision names it too; null takes main.
   *
   * Command line: `--revision <name>`.
   *
   * @default null
   */
  readonly revision?: string | null | undefined;
  /**
   * W<bits>A<bits>[g<columns>]: bits of the weights (2, 3, 4, 5, 6, 8) and of the inputs (4, 8, 16; 16 leaves
   * them), columns that share a scale (without g a whole row): W4A16g64, W2A16g128, W4A4.
   *
   * Command line: `--scheme <name>`.
   */
  readonly scheme: SchemeName;
  /**
   * A zero point per group, instead of the symmetric full-range grid.
   *
   * Command line: `--asym`.
   *
   * @default false
   */
  readonly asym?: boolean | undefined;
  /**
   * Method that chooses the codes; `crossblock recipes` says what each is for.
   *
   * Command line: `--recipe <name>`.
   *
   * @default "cbq"
   */
  readonly recipe?: "rtn" | "gptq" | "slim" | "boa" | "aespa" | "norm-tweaking" | "affine-quant" | "kurtosis" | "l4q" | "tfmq" | "efficient-qat" | "brecq" | "cbq" | undefined;
  /**
   * Values that lie over the defaults: default, what measures best; paper, what the recipe's paper has.
   *
   * Command line: `--preset <name>`.
   *
   * @default "default"
   */
  readonly preset?: "default" | "paper" | undefined;
  /**
   * How much is trained, on how much text, where nothing else says it; null is normal on a GPU or with another
   * preset, and quick on a CPU. Read by every recipe with calibration text.
   *
   * Command line: `--effort <name>`.
   *
   * @default null
   */
  readonly effort?: "quick" | "normal" | "best" | null | undefined;
  /**
   * Time that the run may take, 20min or 1h30: as much is trained as fits, in place of an effort. Read by every
   * recipe with calibration text.
   *
   * Command line: `--time <duration>`.
   *
   * @default null
   */
  readonly time?: string | null | undefined;
  /**
   * Text files or folders: .txt (a document each), .jsonl, .json, .parquet with a field text or messages a record;
   * hub:owner/name[:split][:column]: a data set of the Hugging Face Hub; self-generated: sequences that the model
   * makes up; bundled: prose, conversations and code that come with crossblock (a file of such a name is
   * ./bundled); 128 sequences of 2,048 tokens take about 1 MB of text; a run that needs text and was given none
   * takes bundled.
   *
   * Command line: `--calibration <paths...>`.
   *
   * @default []
   */
  readonly calibration?: string | "self-generated" | "bundled" | readonly (string | "self-generated" | "bundled")[] | undefined;
  /**
   * Calibration sequences. An integer of at least 1. Read by every recipe with calibration text.
   *
   * Command line: `--samples <n>`.
   *
   * @default 128; 22 with --effort quick; 512 with --effort best
   */
  readonly samples?: number | undefined;
  /**
   * Tokens per sequence; null takes 2048, or the longest that the model was made for. An integer of at least 2.
   * Read by every recipe with calibration text.
   *
   * Command line: `--context <n>`.
   *
   * @default null; 1024 with --effort quick
   */
  readonly context?: number | null | undefined;
  /** How the model makes up its calibration text. */
  readonly selfGenerated?: SelfGeneratedOptions | undefined;
  /** How images become inputs of an ONNX network; null takes its preprocessor_config.json, where it has one. */
  readonly images?: ImagesOptions | undefined;
  /**
   * Sampler of a diffusion model (ONNX), in place of calibration examples: its run in full precision makes them.
   * Read by every recipe with an ONNX file as the model.
   *
   * Command line: `--sampler <name>`.
   *
   * @default null
   */
  readonly sampler?: "ddim" | "ddpm" | "edm" | "consistency" | null | undefined;
  /**
   * Steps of that sampler, whose time steps get ranges of their own; null takes 50. An integer of at least 1. Read
   * by every recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--steps <n>`.
   *
   * @default null
   */
  readonly steps?: number | null | undefined;
  /** How a diffusion model is sampled, and what its network was trained for. */
  readonly sampling?: SamplingOptions | undefined;
  /**
   * Seed of everything random. An integer of at least 0. Read by every recipe with calibration text; with
   * rotation=hadamard.
   *
   * Command line: `--seed <n>`.
   *
   * @default 0
   */
  readonly seed?: number | undefined;
  /**
   * The same codes whenever the same command runs, on a GPU too, interrupted or not.
   *
   * Command line: `--deterministic`.
   *
   * @default false
   */
  readonly deterministic?: boolean | undefined;
  /**
   * Folder of the result.
   *
   * Command line: `--out <folder>`.
   */
  readonly out: string;
  /**
   * Formats to write, one or several; compressed-tensors is always written, it is the result.
   *
   * Command line: `--format <names...>`.
   *
   * @default ["compressed-tensors"]
   */
  readonly format?: "compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx" | readonly ("compressed-tensors" | "gptq" | "awq" | "gguf" | "qdq" | "onnx" | "mlx")[] | undefined;
  /**
   * Type of the embedding in GGUF; null takes q8_0, half of bf16 at a small loss that is reported, where its rows
   * are whole blocks; else the model's own.
   *
   * Command line: `--gguf-embedding <type>`.
   *
   * @default null
   */
  readonly ggufEmbedding?: "f32" | "f16" | "bf16" | "q8_0" | null | undefined;
  /**
   * Type of the output matrix in GGUF, where it is not the embedding; null keeps the model's own.
   *
   * Command line: `--gguf-output <type>`.
   *
   * @default null
   */
  readonly ggufOutput?: "f32" | "f16" | "bf16" | "q8_0" | null | undefined;
  /**
   * Round again what GGUF has no exact type of the same size for, and report the loss.
   *
   * Command line: `--reencode`.
   *
   * @default false
   */
  readonly reencode?: boolean | undefined;
  /**
   * Floating point of the ONNX graph: fp32 is exact, fp16 is for WebGPU and rounds what is not quantized.
   *
   * Command line: `--onnx-precision <name>`.
   *
   * @default "fp32"
   */
  readonly onnxPrecision?: "fp32" | "fp16" | undefined;
  /**
   * Activations of the ONNX graph: fast lets onnxruntime round them to 8 bits (accuracy_level 4).
   *
   * Command line: `--onnx-accuracy <name>`.
   *
   * @default "fast"
   */
  readonly onnxAccuracy?: "exact" | "fast" | undefined;
  /**
   * Floating point of scales and biases in MLX: exact takes fp16 for symmetric weights and fp32 for others; bf16
   * or f16 round them to a model's own type, with the loss reported.
   *
   * Command line: `--mlx-scales <type>`.
   *
   * @default "exact"
   */
  readonly mlxScales?: "exact" | "f16" | "bf16" | "f32" | undefined;
  /**
   * Integers of QDQ that codes of 4 bits and fewer are stored in: int4 takes half the space and operators of
   * version 21, int8 those of 13, and onnxruntime multiplies integers.
   *
   * Command line: `--qdq-codes <type>`.
   *
   * @default "int4"
   */
  readonly qdqCodes?: "int4" | "int8" | undefined;
  /**
   * cpu, cuda:0, or auto for the first GPU that libtorch sees, else the CPU.
   *
   * Command line: `--device <device>`.
   *
   * @default "auto"
   */
  readonly device?: string | undefined;
  /**
   * Most memory that the run may take on the device that computes: 6GB, 800MB; null takes what is free.
   *
   * Command line: `--max-memory <size>`.
   *
   * @default null
   */
  readonly maxMemory?: string | null | undefined;
  /**
   * Folder that keeps finished windows, so that the same command continues; null is OUT.work.
   *
   * Command line: `--work <folder>`.
   *
   * @default null
   */
  readonly work?: string | null | undefined;
  /**
   * Discard what an unfinished run left in the work folder.
   *
   * Command line: `--fresh`.
   *
   * @default false
   */
  readonly fresh?: boolean | undefined;
  /**
   * Replace a finished result; what else lies in the output folder is moved to OUT.old-DATE.
   *
   * Command line: `--force`.
   *
   * @default false
   */
  readonly force?: boolean | undefined;
  /**
   * false: do not score source, result and round to nearest on text that was held out.
   *
   * Command line: `--no-score`.
   *
   * @default true
   */
  readonly score?: boolean | undefined;
  /**
   * PNG of samples from the same noise: full precision, round to nearest, and the result, a row each (with
   * --sampler). Read by every recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--samples-grid <file>`.
   *
   * @default null
   */
  readonly samplesGrid?: string | null | undefined;
  /**
   * false: do not write report.html beside the result.
   *
   * Command line: `--no-report`.
   *
   * @default true
   */
  readonly report?: boolean | undefined;
  /**
   * Plan, make all checks and stop: nothing is trained or written.
   *
   * Command line: `--dry-run`.
   *
   * @default false
   */
  readonly dryRun?: boolean | undefined;
  /** Windows of blocks that are reconstructed together. */
  readonly window?: WindowOptions | undefined;
  /** Which rounding of the weights windows train, and where it starts. */
  readonly rounding?: RoundingOptions | undefined;
  /** How fast windows are trained. */
  readonly rates?: RatesOptions | undefined;
  /** How rates fall during training. */
  readonly schedule?: ScheduleOptions | undefined;
  /** How the ranges of weights are chosen. */
  readonly range?: RangeOptions | undefined;
  /** GPTQ's solver; recipes that train start from its codes or fall back to them. */
  readonly gptq?: GptqOptions | undefined;
  /** Settings of `boa`. */
  readonly boa?: BoaOptions | undefined;
  /**
   * Rotate the hidden states and the values of each head, so that no channel is an outlier: hadamard, or none;
   * auto rotates for cbq with inputs of 4 bits.
   *
   * Command line: `--set rotation=...`.
   *
   * @default "auto"; "none" with --preset paper
   */
  readonly rotation?: "auto" | "none" | "hadamard" | undefined;
  /** What is done about outliers before a window is trained. */
  readonly cfp?: CfpOptions | undefined;
  /** How the inputs of Linears are quantized. */
  readonly activation?: ActivationOptions | undefined;
  /**
   * End-to-end training after the last window, all blocks at once on the model's output: their scales, or none;
   * auto trains them after efficient-qat and cbq where memory allows it.
   *
   * Command line: `--finish <stage>`.
   *
   * @default "auto"; "none" with --preset paper; "none" with --effort quick
   */
  readonly finish?: "auto" | "none" | "scales" | undefined;
  /** How all blocks are trained end to end after the last window. */
  readonly endToEnd?: EndToEndOptions | undefined;
  /**
   * What experts of a mixture are calibrated on: the tokens that are routed to them, or all tokens. Read by every
   * recipe with calibration text.
   *
   * Command line: `--experts <tokens>`.
   *
   * @default "routed"
   */
  readonly experts?: "routed" | "all" | undefined;
  /**
   * Experts that fewer tokens are routed to get the second moments of all tokens, with a warning. An integer of at
   * least 0. Read by every recipe with calibration text and experts=routed.
   *
   * Command line: `--set expertTokens=...`.
   *
   * @default 128
   */
  readonly expertTokens?: number | undefined;
  /**
   * Exceptions by module name, * for any characters; the last that matches wins: [{"pattern": "*.down_proj",
   * "bits": 8}].
   *
   * Command line: `--set overrides=...`.
   *
   * @default []
   */
  readonly overrides?: readonly OverrideOptions[] | undefined;
  /**
   * Mean bits of a code that the run may spend, 2.5 say: Linears that the output depends on most get more, others
   * fewer; scales and zero points come on top, as with a scheme's own bits; null gives all of them the scheme's. A
   * number from 2 to 8. Read by every recipe with calibration text.
   *
   * Command line: `--bits-budget <bits>`.
   *
   * @default null
   */
  readonly bitsBudget?: number | null | undefined;
  /** Settings of `allocation`. */
  readonly allocation?: AllocationOptions | undefined;
  /** Settings of `slim`. */
  readonly slim?: SlimOptions | undefined;
  /** Settings of `aespa`. */
  readonly aespa?: AespaOptions | undefined;
  /** How Norm Tweaking trains the norms of a block. */
  readonly normTweaking?: NormTweakingOptions | undefined;
  /** AffineQuant's transforms, and how they are trained. */
  readonly affine?: AffineOptions | undefined;
  /** How a model is trained with quantized inputs and outputs of low kurtosis. */
  readonly kurtosis?: KurtosisOptions | undefined;
  /** How L4Q fine-tunes and quantizes together. */
  readonly l4q?: L4qOptions | undefined;
  /** How the networks of diffusion models are quantized. */
  readonly tfmq?: TfmqOptions | undefined;
  /** How EfficientQAT trains a block as a whole. */
  readonly blockAp?: BlockApOptions | undefined;
  /** How BRECQ reconstructs a network unit by unit. */
  readonly brecq?: BrecqOptions | undefined;
  /**
   * What is trained and folded of a block before its window is: AffineQuant's transforms, in front of rounding to
   * nearest and on the full-precision block's own input, or nothing. Read by cbq.
   *
   * Command line: `--set transform=...`.
   *
   * @default "none"
   */
  readonly transform?: "none" | "affine" | undefined;
  /** In which arithmetic and on how many threads the run computes. */
  readonly compute?: ComputeOptions | undefined;
  /** Where activations wait between windows. */
  readonly streams?: StreamsOptions | undefined;
  /** Stops the work: the iteration throws the signal's reason, and nothing half-written is left. */
  readonly signal?: AbortSignal | undefined;
}

/** Settings of `selfGenerated`. */
export interface SelfGeneratedOptions {
  /**
   * What the logits are divided by before a token is drawn; below 1 likely tokens become likelier. A number above
   * 0. Read by every recipe with --calibration self-generated.
   *
   * Command line: `--set selfGenerated.temperature=...`.
   *
   * @default 1
   */
  readonly temperature?: number | undefined;
  /**
   * Likeliest tokens that follow the first of a sequence, before any is drawn. An integer of at least 0. Read by
   * every recipe with --calibration self-generated.
   *
   * Command line: `--set selfGenerated.greedy=...`.
   *
   * @default 0
   */
  readonly greedy?: number | undefined;
  /**
   * Scripts that a random first token is of, as Unicode names them: ["Latin", "Han"]; [] draws it from all tokens;
   * null lets the model begin, as it would a document. Read by every recipe with --calibration self-generated.
   *
   * Command line: `--set selfGenerated.scripts=...`.
   *
   * @default null
   */
  readonly scripts?: string | readonly string[] | null | undefined;
  /**
   * Sequences that grow at once; null chooses what fits. An integer of at least 1. Read by every recipe with
   * --calibration self-generated.
   *
   * Command line: `--set selfGenerated.batch=...`.
   *
   * @default null
   */
  readonly batch?: number | null | undefined;
}

/** Settings of `images`. */
export interface ImagesOptions {
  /**
   * Pixels of the shorter side, [height, width] of both, or none. Read by every recipe with an ONNX file as the
   * model.
   *
   * Command line: `--set images.resize=...`.
   *
   * @default null
   */
  readonly resize?: "none" | readonly [number, number] | number | null | undefined;
  /**
   * Pixels that are cut out of the middle: of both sides, [height, width], or none. Read by every recipe with an
   * ONNX file as the model.
   *
   * Command line: `--set images.crop=...`.
   *
   * @default null
   */
  readonly crop?: "none" | readonly [number, number] | number | null | undefined;
  /**
   * How pixels are made when the size changes. Read by every recipe with an ONNX file as the model.
   *
   * Command line: `--set images.interpolation=...`.
   *
   * @default null
   */
  readonly interpolation?: "nearest" | "linear" | "cubic" | "lanczos3" | null | undefined;
  /**
   * What black and white are before the mean is taken off: [0, 1], [-1, 1], [0, 255]. Read by every recipe with an
   * ONNX file as the model.
   *
   * Command line: `--set images.range=...`.
   *
   * @default null
   */
  readonly range?: readonly [number, number] | null | undefined;
  /**
   * Taken off each channel, in the order that the network sees: one number, or three. Read by every recipe with an
   * ONNX file as the model.
   *
   * Command line: `--set images.mean=...`.
   *
   * @default null
   */
  readonly mean?: readonly [number, number, number] | number | null | undefined;
  /**
   * What each channel is divided by then: one number, or three. Read by every recipe with an ONNX file as the
   * model.
   *
   * Command line: `--set images.std=...`.
   *
   * @default null
   */
  readonly std?: readonly [number, number, number] | number | null | undefined;
  /**
   * Order of the channels, or gray for one. Read by every recipe with an ONNX file as the model.
   *
   * Command line: `--set images.channels=...`.
   *
   * @default null
   */
  readonly channels?: "rgb" | "bgr" | "gray" | null | undefined;
  /**
   * Channels first or last; as the input has them. Read by every recipe with an ONNX file as the model.
   *
   * Command line: `--set images.layout=...`.
   *
   * @default null
   */
  readonly layout?: "nchw" | "nhwc" | null | undefined;
}

/** Settings of `sampling.conditions`. */
export interface SamplingConditionOptions {
  /** Name of the input. */
  readonly input: string;
  /** What the first image gets. A number. */
  readonly low: number;
  /** What the last image gets. A number. */
  readonly high: number;
}

/** Settings of `sampling`. */
export interface SamplingOptions {
  /**
   * Images of the run; each step gives as many examples. An integer of at least 1. Read by every recipe with an
   * ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.images=...`.
   *
   * @default 16
   */
  readonly images?: number | undefined;
  /**
   * Images that pass the network at once while it runs. An integer of at least 1. Read by every recipe with an
   * ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.batch=...`.
   *
   * @default 16
   */
  readonly batch?: number | undefined;
  /**
   * What the network predicts: the noise, the image, or v (ddim, ddpm). Read by every recipe with an ONNX file as
   * the model and --sampler.
   *
   * Command line: `--set sampling.prediction=...`.
   *
   * @default "epsilon"
   */
  readonly prediction?: "epsilon" | "sample" | "velocity" | undefined;
  /**
   * Schedule of the noise that it was trained with (ddim, ddpm). Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.schedule=...`.
   *
   * @default "linear"
   */
  readonly schedule?: "linear" | "scaled-linear" | "cosine" | undefined;
  /**
   * Time steps that it knows (ddim, ddpm). An integer of at least 1. Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.trainSteps=...`.
   *
   * @default 1000
   */
  readonly trainSteps?: number | undefined;
  /**
   * Variance of the first step's noise (linear, scaled-linear). A number above 0. Read by every recipe with an
   * ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.betaStart=...`.
   *
   * @default 0.0001
   */
  readonly betaStart?: number | undefined;
  /**
   * Variance of the last step's noise (linear, scaled-linear). A number above 0. Read by every recipe with an ONNX
   * file as the model and --sampler.
   *
   * Command line: `--set sampling.betaEnd=...`.
   *
   * @default 0.02
   */
  readonly betaEnd?: number | undefined;
  /**
   * How the time steps are spread: evenly, or closer where little noise is left (ddim, ddpm). Read by every recipe
   * with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.choice=...`.
   *
   * @default "linear"
   */
  readonly choice?: "linear" | "quadratic" | undefined;
  /**
   * Noise that is added at each step: 0 none, 1 as DDPM does (ddim). A number from 0 to 1. Read by every recipe
   * with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.eta=...`.
   *
   * @default 0
   */
  readonly eta?: number | undefined;
  /**
   * Variance of the added noise (ddpm). Read by every recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.variance=...`.
   *
   * @default "small"
   */
  readonly variance?: "small" | "large" | undefined;
  /**
   * The lowest noise level (edm, consistency). A number above 0. Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.sigmaMin=...`.
   *
   * @default 0.002
   */
  readonly sigmaMin?: number | undefined;
  /**
   * The highest noise level (edm, consistency). A number above 0. Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.sigmaMax=...`.
   *
   * @default 80
   */
  readonly sigmaMax?: number | undefined;
  /**
   * How much closer levels lie where little noise is left (edm, consistency). A number above 0. Read by every
   * recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.rho=...`.
   *
   * @default 7
   */
  readonly rho?: number | undefined;
  /**
   * A second look at the end of each step, which doubles the calls of the network and not its noise levels (edm).
   * Read by every recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.correction=...`.
   *
   * @default "heun"
   */
  readonly correction?: "heun" | "none" | undefined;
  /**
   * What the time input gets: the noise level, or log(sigma) / 4 (edm, consistency). Read by every recipe with an
   * ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.noiseInput=...`.
   *
   * @default "sigma"
   */
  readonly noiseInput?: "sigma" | "log-sigma" | undefined;
  /**
   * Deviation of its data where EDM's preconditioning is not part of the network; null where it is. A number above
   * 0. Read by every recipe with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.sigmaData=...`.
   *
   * @default null
   */
  readonly sigmaData?: number | null | undefined;
  /**
   * What predicted images are cut to, from minus to plus: 1 for pixels. A number above 0. Read by every recipe
   * with an ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.clip=...`.
   *
   * @default null
   */
  readonly clip?: number | null | undefined;
  /**
   * Name of the input that is denoised; null finds it by its shape. Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.sampleInput=...`.
   *
   * @default null
   */
  readonly sampleInput?: string | null | undefined;
  /**
   * Name of the time input; null finds it by its shape and name. Read by every recipe with an ONNX file as the
   * model and --sampler.
   *
   * Command line: `--set sampling.timeInput=...`.
   *
   * @default null
   */
  readonly timeInput?: string | null | undefined;
  /**
   * What other inputs get, spread evenly over the images; 0 where nothing is said. Read by every recipe with an
   * ONNX file as the model and --sampler.
   *
   * Command line: `--set sampling.conditions=...`.
   *
   * @default []
   */
  readonly conditions?: readonly SamplingConditionOptions[] | undefined;
}

/** Settings of `window.loss`. */
export interface WindowLossOptions {
  /**
   * Squared error: plain, or divided by each token's own magnitude. Read by cbq with window.loss.l2Weight above 0.
   *
   * Command line: `--set window.loss.l2=...`.
   *
   * @default "token"; "plain" with --preset paper
   */
  readonly l2?: "plain" | "token" | undefined;
  /**
   * Weight of the squared error. A number of at least 0. Read by cbq.
   *
   * Command line: `--set window.loss.l2Weight=...`.
   *
   * @default 1
   */
  readonly l2Weight?: number | undefined;
  /**
   * Weight of the KL divergence over the hidden dimension. A number of at least 0. Read by cbq.
   *
   * Command line: `--set window.loss.klWeight=...`.
   *
   * @default 0; 1 with --preset paper
   */
  readonly klWeight?: number | undefined;
}

/** Settings of `window`. */
export interface WindowOptions {
  /**
   * Blocks that are reconstructed together. An integer of at least 1. Read by cbq.
   *
   * Command line: `--set window.size=...`.
   *
   * @default 2
   */
  readonly size?: number | undefined;
  /**
   * Blocks that a window shares with the one before it. An integer of at least 0. Read by cbq.
   *
   * Command line: `--set window.overlap=...`.
   *
   * @default 1; 0 with --effort quick
   */
  readonly overlap?: number | undefined;
  /**
   * Passes over the calibration sequences, per window. An integer of at least 0. Read by cbq.
   *
   * Command line: `--set window.epochs=...`.
   *
   * @default 10; 3 with --preset paper; 2 with --effort quick; 20 with --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by cbq with window.epochs above 0.
   *
   * Command line: `--set window.batch=...`.
   *
   * @default 4; 1 with --preset paper; 1 with --effort quick
   */
  readonly batch?: number | undefined;
  /**
   * Sequences on the device at once; null chooses what fits; other sums may be rounded otherwise, so some codes
   * differ. An integer of at least 1. Read by every recipe with calibration text.
   *
   * Command line: `--set window.microBatch=...`.
   *
   * @default null
   */
  readonly microBatch?: number | null | undefined;
  /**
   * Also reconstruct from the quantized stream alone (the paper's homologous branch). Read by cbq.
   *
   * Command line: `--set window.secondBranch=...`.
   *
   * @default false; true with --preset paper
   */
  readonly secondBranch?: boolean | undefined;
  /** What a window is held to. */
  readonly loss?: WindowLossOptions | undefined;
}

/** Settings of `rounding.regulariser`. */
export interface RoundingRegulariserOptions {
  /**
   * Weight of the rounding penalty, which drives soft roundings to 0 or 1 (lora, adaround). A number of at least
   * 0. Read by cbq with rounding.kind=lora or adaround and window.epochs above 0.
   *
   * Command line: `--set rounding.regulariser.weight=...`.
   *
   * @default 0.01
   */
  readonly weight?: number | undefined;
  /**
   * Fraction of the steps without the penalty. A number from 0 to 1. Read by cbq with rounding.kind=lora or
   * adaround and window.epochs above 0.
   *
   * Command line: `--set rounding.regulariser.warmup=...`.
   *
   * @default 0.1
   */
  readonly warmup?: number | undefined;
  /**
   * Its exponent after the warm-up. A number above 0. Read by cbq with rounding.kind=lora or adaround and
   * window.epochs above 0.
   *
   * Command line: `--set rounding.regulariser.betaStart=...`.
   *
   * @default 20
   */
  readonly betaStart?: number | undefined;
  /**
   * Its exponent at the last step. A number above 0. Read by cbq with rounding.kind=lora or adaround and
   * window.epochs above 0.
   *
   * Command line: `--set rounding.regulariser.betaEnd=...`.
   *
   * @default 2
   */
  readonly betaEnd?: number | undefined;
}

/** Settings of `rounding`. */
export interface RoundingOptions {
  /**
   * What is trained: an offset in code units, a low-rank offset, or a full rounding matrix. Read by cbq.
   *
   * Command line: `--set rounding.kind=...`.
   *
   * @default "code"; "lora" with --preset paper
   */
  readonly kind?: "code" | "lora" | "adaround" | undefined;
  /**
   * Rank of the low-rank offset (lora). An integer of at least 1. Read by cbq with rounding.kind=lora.
   *
   * Command line: `--set rounding.rank=...`.
   *
   * @default 5
   */
  readonly rank?: number | undefined;
  /** The penalty that drives soft roundings to 0 or 1. */
  readonly regulariser?: RoundingRegulariserOptions | undefined;
  /**
   * Codes that training starts from. Read by cbq.
   *
   * Command line: `--set rounding.start=...`.
   *
   * @default "gptq"; "rtn" with rounding.kind=lora; "rtn" with rounding.kind=adaround
   */
  readonly start?: "rtn" | "gptq" | "boa" | undefined;
}

/** Settings of `rates`. */
export interface RatesOptions {
  /**
   * Adam rate of the rounding parameters, in code units. A number above 0. Read by cbq with window.epochs above 0.
   *
   * Command line: `--set rates.rounding=...`.
   *
   * @default 0.005; 0.1 with rounding.kind=lora; 0.03 with rounding.kind=adaround
   */
  readonly rounding?: number | undefined;
  /**
   * Adam rate of the scales, relative to the scale. A number above 0. Read by cbq with window.epochs above 0.
   *
   * Command line: `--set rates.scale=...`.
   *
   * @default 0.002; 0.003 with rounding.kind=lora; 0.001 with rounding.kind=adaround
   */
  readonly scale?: number | undefined;
  /**
   * Adam rate of the zero points, in code units. A number above 0. Read by cbq with --asym and window.epochs above
   * 0.
   *
   * Command line: `--set rates.zeroPoint=...`.
   *
   * @default 0.005
   */
  readonly zeroPoint?: number | undefined;
  /**
   * Adam rate of the activation clips, relative to the clip. A number above 0. Read by affine-quant with a scheme
   * that quantizes inputs (W4A8, W4A4) and activation.learnClip=true and affine.epochs above 0; efficient-qat with
   * a scheme that quantizes inputs (W4A8, W4A4) and activation.learnClip=true and blockAp.epochs above 0; cbq with
   * a scheme that quantizes inputs (W4A8, W4A4) and activation.learnClip=true and window.epochs above 0.
   *
   * Command line: `--set rates.activation=...`.
   *
   * @default 0.01
   */
  readonly activation?: number | undefined;
}

/** Settings of `schedule`. */
export interface ScheduleOptions {
  /**
   * Fraction of every rate left at the last step of the cosine. A number from 0 to 1. Read by slim with
   * slim.clipping=learnt; affine-quant with affine.epochs above 0; kurtosis; efficient-qat with blockAp.epochs
   * above 0; cbq with window.epochs above 0; rtn, gptq, slim, boa, aespa, norm-tweaking, affine-quant, l4q, tfmq,
   * efficient-qat, brecq, cbq with end-to-end training.
   *
   * Command line: `--set schedule.finalRate=...`.
   *
   * @default 0.05; 1 with slim.codes=nearest; 1 with --recipe affine-quant --preset paper
   */
  readonly finalRate?: number | undefined;
}

/** Settings of `range`. */
export interface RangeOptions {
  /**
   * Search the clipping that loses least, instead of the full range.
   *
   * Command line: `--set range.search=...`.
   *
   * @default true; false with --recipe affine-quant --preset paper; false with --recipe l4q --preset paper; false
   * with --recipe efficient-qat --preset paper
   */
  readonly search?: boolean | undefined;
  /**
   * Clipping factors tried per group. An integer of at least 1. Read by every recipe with range.search=true.
   *
   * Command line: `--set range.candidates=...`.
   *
   * @default 60; 80 with --recipe brecq --preset paper
   */
  readonly candidates?: number | undefined;
}

/** Settings of `gptq`. */
export interface GptqOptions {
  /**
   * Fraction of the Hessian's mean diagonal that is added to it; grows if needed. A number above 0. Read by gptq,
   * slim, boa, aespa, norm-tweaking, affine-quant, tfmq, efficient-qat, brecq, cbq; kurtosis with
   * kurtosis.codes=gptq; l4q with l4q.start=boa or gptq.
   *
   * Command line: `--set gptq.damping=...`.
   *
   * @default 0.01
   */
  readonly damping?: number | undefined;
  /**
   * Weigh the range search with the mean squares of the inputs. Read by gptq, boa, aespa, norm-tweaking,
   * affine-quant, tfmq, efficient-qat, brecq, cbq; slim with slim.ranges=weighted; kurtosis with
   * kurtosis.codes=gptq; l4q with l4q.start=boa or gptq.
   *
   * Command line: `--set gptq.weightedRange=...`.
   *
   * @default true
   */
  readonly weightedRange?: boolean | undefined;
  /**
   * Factors by which ranges are widened; each row keeps the one that loses least. Read by gptq, slim, boa, aespa,
   * norm-tweaking, affine-quant, tfmq, efficient-qat, brecq, cbq; kurtosis with kurtosis.codes=gptq; l4q with
   * l4q.start=boa or gptq.
   *
   * Command line: `--set gptq.widths=...`.
   *
   * @default [1,1.1,1.2,1.3]; [1] with --recipe slim --preset paper; [1] with --recipe boa --preset paper; [1]
   * with --recipe aespa --preset paper
   */
  readonly widths?: readonly number[] | undefined;
  /**
   * Fit the scales once more to the codes, by what the output loses. Read by gptq, boa, aespa, norm-tweaking,
   * affine-quant, tfmq, efficient-qat, brecq, cbq; kurtosis with kurtosis.codes=gptq.
   *
   * Command line: `--set gptq.refit=...`.
   *
   * @default false
   */
  readonly refit?: boolean | undefined;
  /**
   * Columns that are updated together. An integer of at least 1. Read by gptq, boa, aespa, norm-tweaking,
   * affine-quant, tfmq, efficient-qat, brecq, cbq; kurtosis with kurtosis.codes=gptq; l4q with l4q.start=boa or
   * gptq.
   *
   * Command line: `--set gptq.blockSize=...`.
   *
   * @default 128
   */
  readonly blockSize?: number | undefined;
}

/** Settings of `boa`. */
export interface BoaOptions {
  /**
   * Weigh the values of each head with the attention that mixes them: a matrix of the hidden size for every head
   * of the values. Read by boa, aespa; l4q with l4q.start=boa; cbq with rounding.start=boa.
   *
   * Command line: `--set boa.blockV=...`.
   *
   * @default true
   */
  readonly blockV?: boolean | undefined;
  /**
   * Weigh the rows of the values by what the output's Linear makes of them; false takes all alike, as released
   * code does. Read by boa, aespa; l4q with l4q.start=boa; cbq with rounding.start=boa.
   *
   * Command line: `--set boa.valueRows=...`.
   *
   * @default true; false with --recipe boa --preset paper; false with --recipe aespa --preset paper
   */
  readonly valueRows?: boolean | undefined;
  /**
   * Rows of each head that are rounded before the rows after them make up for it: 16 as in TurboBoA, 1 in the
   * paper; a quarter of the rows of heads that have no more. An integer of at least 1. Read by boa; aespa with
   * aespa.start=boa; l4q with l4q.start=boa; cbq with rounding.start=boa.
   *
   * Command line: `--set boa.rowsAtOnce=...`.
   *
   * @default 16; 1 with --recipe boa --preset paper
   */
  readonly rowsAtOnce?: number | undefined;
  /**
   * Fraction of the mean diagonal that is added to the factors of the rows. A number above 0. Read by boa; aespa
   * with aespa.start=boa; l4q with l4q.start=boa; cbq with rounding.start=boa.
   *
   * Command line: `--set boa.rowDamping=...`.
   *
   * @default 0.01
   */
  readonly rowDamping?: number | undefined;
}

/** Settings of `cfp`. */
export interface CfpOptions {
  /**
   * Truncate outliers of the weights before quantization. Read by cbq.
   *
   * Command line: `--set cfp.weights=...`.
   *
   * @default false; true with --preset paper
   */
  readonly weights?: boolean | undefined;
  /**
   * Fold outliers of the activations into the weights; null does so where inputs have 4 bits and nothing was
   * rotated. Read by cbq.
   *
   * Command line: `--set cfp.activations=...`.
   *
   * @default null; true with --preset paper
   */
  readonly activations?: boolean | null | undefined;
  /**
   * How outliers are found: paper by quartiles of magnitudes, msmodelslim by quantiles 0.2 and 0.8 of either sign
   * (Huawei's tool). Read by cbq with cfp.weights=true or cfp.activations=true.
   *
   * Command line: `--set cfp.detection=...`.
   *
   * @default "paper"
   */
  readonly detection?: "paper" | "msmodelslim" | undefined;
  /**
   * Exponent of an outlier channel's scale. A number from 0 to 1. Read by cbq with cfp.activations=true.
   *
   * Command line: `--set cfp.exponent=...`.
   *
   * @default 0.5; 0.7 with cfp.detection=msmodelslim
   */
  readonly exponent?: number | undefined;
  /**
   * Interquartile ranges above the third quartile where candidates begin. A number above 0. Read by cbq with
   * cfp.weights=true or cfp.activations=true.
   *
   * Command line: `--set cfp.lambda1=...`.
   *
   * @default 1.5
   */
  readonly lambda1?: number | undefined;
  /**
   * Weight of the variance of what is kept. A number of at least 0. Read by cbq with cfp.weights=true or
   * cfp.activations=true.
   *
   * Command line: `--set cfp.lambda2=...`.
   *
   * @default 1
   */
  readonly lambda2?: number | undefined;
  /**
   * Detect the outliers of a weight per output row, not per tensor. Read by cbq with cfp.weights=true.
   *
   * Command line: `--set cfp.perRow=...`.
   *
   * @default false
   */
  readonly perRow?: boolean | undefined;
}

/** Settings of `activation`. */
export interface ActivationOptions {
  /**
   * Range of quantized activations: of each token at run time, or one per Linear, fixed by calibration. Read by
   * every recipe with a scheme that quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set activation.granularity=...`.
   *
   * @default "token"; "tensor" with --recipe kurtosis; "tensor" with --recipe kurtosis --preset paper
   */
  readonly granularity?: "token" | "tensor" | undefined;
  /**
   * Train the clip of each Linear's input. Read by affine-quant, efficient-qat, brecq, cbq with a scheme that
   * quantizes inputs (W4A8, W4A4); l4q; rtn, gptq, slim, boa, aespa, norm-tweaking, kurtosis, tfmq with a scheme
   * that quantizes inputs (W4A8, W4A4) and end-to-end training.
   *
   * Command line: `--set activation.learnClip=...`.
   *
   * @default true; false with --recipe affine-quant --preset paper
   */
  readonly learnClip?: boolean | undefined;
}

/** Settings of `endToEnd`. */
export interface EndToEndOptions {
  /**
   * What the output is held against: the probabilities of the full-precision network, or the next tokens of the
   * text. Read by every recipe with end-to-end training.
   *
   * Command line: `--set endToEnd.loss=...`.
   *
   * @default "divergence"; "next-token" with --recipe efficient-qat --preset paper
   */
  readonly loss?: "divergence" | "next-token" | undefined;
  /**
   * Passes over the calibration sequences. An integer of at least 1. Read by every recipe with end-to-end
   * training.
   *
   * Command line: `--set endToEnd.epochs=...`.
   *
   * @default 4; 1 with --recipe efficient-qat --preset paper; 8 with --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by every recipe with end-to-end training.
   *
   * Command line: `--set endToEnd.batch=...`.
   *
   * @default 4
   */
  readonly batch?: number | undefined;
  /**
   * Adam rate of the scales, relative to the scale. A number above 0. Read by every recipe with end-to-end
   * training.
   *
   * Command line: `--set endToEnd.scaleRate=...`.
   *
   * @default 0.001
   */
  readonly scaleRate?: number | undefined;
  /**
   * Adam rate of the activation clips, relative to the clip. A number above 0. Read by every recipe with
   * end-to-end training and a scheme that quantizes inputs (W4A8, W4A4) and activation.learnClip=true.
   *
   * Command line: `--set endToEnd.activationRate=...`.
   *
   * @default 0.005
   */
  readonly activationRate?: number | undefined;
  /**
   * Fraction of the steps over which every rate rises to its full value. A number from 0 to 1. Read by every
   * recipe with end-to-end training.
   *
   * Command line: `--set endToEnd.warmup=...`.
   *
   * @default 0; 0.03 with --recipe efficient-qat --preset paper
   */
  readonly warmup?: number | undefined;
  /**
   * Longest gradient of a step, over everything that is trained; null takes it as it is. A number of at least
   * 1e-9. Read by every recipe with end-to-end training.
   *
   * Command line: `--set endToEnd.clip=...`.
   *
   * @default null; 0.3 with --recipe efficient-qat --preset paper
   */
  readonly clip?: number | null | undefined;
}

/** Settings of `overrides`. */
export interface OverrideOptions {
  /** Module name, `*` for any characters: model.layers.*.mlp.down_proj. */
  readonly pattern: string;
  /** Bits of its weights. An integer from 2 to 8. */
  readonly bits?: number | undefined;
  /** Columns per group, or channel. */
  readonly group?: "channel" | number | undefined;
  /**
   * Bits of its input, 16 for none (ONNX graphs; the layers that read the image have 16 unless this says
   * otherwise).
   */
  readonly inputBits?: 16 | 8 | 4 | undefined;
  /** Leave it in the source precision. */
  readonly skip?: boolean | undefined;
}

/** Settings of `allocation`. */
export interface AllocationOptions {
  /**
   * Bits that a Linear may get; null takes all that every format of the run holds. Read by every recipe with
   * calibration text and --bits-budget.
   *
   * Command line: `--set allocation.widths=...`.
   *
   * @default null
   */
  readonly widths?: readonly (2 | 3 | 4 | 5 | 6 | 8)[] | null | undefined;
  /**
   * Linears that read the same input get the same bits, q, k and v, gate and up: vLLM makes one Linear of them.
   * Read by every recipe with calibration text and --bits-budget.
   *
   * Command line: `--set allocation.tied=...`.
   *
   * @default true
   */
  readonly tied?: boolean | undefined;
}

/** Settings of `slim`. */
export interface SlimOptions {
  /**
   * What a weight's square is divided by to rank groups: the squared diagonal of the inverse Hessian, or that of
   * its Cholesky factor. Read by slim.
   *
   * Command line: `--set slim.salience=...`.
   *
   * @default "inverse"
   */
  readonly salience?: "inverse" | "factor" | undefined;
  /**
   * How a split of the bits is judged: by what GPTQ with these bits loses of the output, or by the paper's
   * divergence with groups rounded to nearest. Read by slim.
   *
   * Command line: `--set slim.judge=...`.
   *
   * @default "solved"; "rounded" with --recipe slim --preset paper
   */
  readonly judge?: "solved" | "rounded" | undefined;
  /**
   * Ranges of groups: by the search that weighs columns by their inputs, or by the paper's, which weighs salient
   * weights (SQC). Read by slim.
   *
   * Command line: `--set slim.ranges=...`.
   *
   * @default "weighted"; "salience" with --recipe slim --preset paper
   */
  readonly ranges?: "weighted" | "salience" | undefined;
  /**
   * How often the error of a salient weight counts. A number of at least 1. Read by slim with
   * slim.ranges=salience.
   *
   * Command line: `--set slim.lambda=...`.
   *
   * @default 2; 1 with --recipe slim --preset paper
   */
  readonly lambda?: number | undefined;
  /**
   * Ranges of groups as they are found, or trained block by block behind it (SliM-LLM+). Read by slim.
   *
   * Command line: `--set slim.clipping=...`.
   *
   * @default "searched"
   */
  readonly clipping?: "searched" | "learnt" | undefined;
  /**
   * What learnt ranges have for codes: GPTQ's, which stay while scales are learnt; or the nearest of the model's
   * own weights, in each step, while clips are (the paper). Read by slim with slim.clipping=learnt.
   *
   * Command line: `--set slim.codes=...`.
   *
   * @default "solved"
   */
  readonly codes?: "solved" | "nearest" | undefined;
  /**
   * Passes over the calibration sequences in which ranges are learnt, per block. An integer of at least 1. Read by
   * slim with slim.clipping=learnt.
   *
   * Command line: `--set slim.epochs=...`.
   *
   * @default 10; 50 with slim.codes=nearest
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by slim with slim.clipping=learnt.
   *
   * Command line: `--set slim.batch=...`.
   *
   * @default 4; 1 with slim.codes=nearest
   */
  readonly batch?: number | undefined;
  /**
   * Adam rate of the scales, relative to the scale, or of the logits of the clips (nearest). A number above 0.
   * Read by slim with slim.clipping=learnt.
   *
   * Command line: `--set slim.rate=...`.
   *
   * @default 0.02; 0.01 with slim.codes=nearest
   */
  readonly rate?: number | undefined;
  /**
   * Also reconstruct what the full-precision block makes of the quantized stream (the augmented loss). Read by
   * slim with slim.clipping=learnt.
   *
   * Command line: `--set slim.secondBranch=...`.
   *
   * @default false; true with slim.codes=nearest
   */
  readonly secondBranch?: boolean | undefined;
  /**
   * Squared error: plain (the paper), or divided by each token's own magnitude. Read by slim with
   * slim.clipping=learnt.
   *
   * Command line: `--set slim.loss=...`.
   *
   * @default "token"; "plain" with slim.codes=nearest
   */
  readonly loss?: "plain" | "token" | undefined;
}

/** Settings of `aespa`. */
export interface AespaOptions {
  /**
   * Most rounds in which grids and factors of the columns are fitted; 0 folds nothing. An integer of at least 0.
   * Read by aespa.
   *
   * Command line: `--set aespa.zFold=...`.
   *
   * @default 30
   */
  readonly zFold?: number | undefined;
  /**
   * Whose codes and corrected weight roundings start from: BoA's, or those of GPTQ (the paper). Read by aespa.
   *
   * Command line: `--set aespa.start=...`.
   *
   * @default "boa"; "gptq" with --recipe aespa --preset paper
   */
  readonly start?: "boa" | "gptq" | undefined;
  /**
   * Steps of Adam, per Linear. An integer of at least 0. Read by aespa.
   *
   * Command line: `--set aespa.iterations=...`.
   *
   * @default 500; 2000 with --recipe aespa --preset paper
   */
  readonly iterations?: number | undefined;
  /**
   * Adam rate of the roundings: 0.015 is the paper's. A number above 0. Read by aespa with aespa.iterations above
   * 0.
   *
   * Command line: `--set aespa.rate=...`.
   *
   * @default 0.05; 0.015 with --recipe aespa --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * Adam rate of the scales, relative to the scale; 0 leaves them as they are (the paper). A number of at least 0.
   * Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.scaleRate=...`.
   *
   * @default 0
   */
  readonly scaleRate?: number | undefined;
  /**
   * How far from its code a weight begins: 1 at the weight that the solver corrected (the paper), near 0 at the
   * code. A number above 0, at most 1. Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.softness=...`.
   *
   * @default 1
   */
  readonly softness?: number | undefined;
  /**
   * Weight of the rounding penalty, where the codes that training starts from lose 1. A number of at least 0. Read
   * by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.penalty=...`.
   *
   * @default 30
   */
  readonly penalty?: number | undefined;
  /**
   * The same for queries, keys and values. A number of at least 0. Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.attentionPenalty=...`.
   *
   * @default 45
   */
  readonly attentionPenalty?: number | undefined;
  /**
   * Fraction of the steps without the penalty. A number from 0 to 1. Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.warmup=...`.
   *
   * @default 0.2
   */
  readonly warmup?: number | undefined;
  /**
   * Its exponent after the warm-up. A number above 0. Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.betaStart=...`.
   *
   * @default 20
   */
  readonly betaStart?: number | undefined;
  /**
   * Its exponent at the last step. A number above 0. Read by aespa with aespa.iterations above 0.
   *
   * Command line: `--set aespa.betaEnd=...`.
   *
   * @default 2
   */
  readonly betaEnd?: number | undefined;
}

/** Settings of `normTweaking`. */
export interface NormTweakingOptions {
  /**
   * Adam rate of the norms at the first block. A number above 0. Read by norm-tweaking with normTweaking.epochs
   * above 0.
   *
   * Command line: `--set normTweaking.rate=...`.
   *
   * @default 0.001; 0.00001 with --recipe norm-tweaking --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * How much the rate grows to the last block: rate (1 + growth i / blocks). A number of at least 0. Read by
   * norm-tweaking with normTweaking.epochs above 0.
   *
   * Command line: `--set normTweaking.growth=...`.
   *
   * @default 0
   */
  readonly growth?: number | undefined;
  /**
   * Passes over the calibration sequences, per block. An integer of at least 0. Read by norm-tweaking.
   *
   * Command line: `--set normTweaking.epochs=...`.
   *
   * @default 1
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step; the moments are those of a step. An integer of at least 1. Read by
   * norm-tweaking with normTweaking.epochs above 0.
   *
   * Command line: `--set normTweaking.batch=...`.
   *
   * @default 1
   */
  readonly batch?: number | undefined;
  /**
   * How channels are compared: absolute differences of means and variances (the paper), or squares of means and
   * deviations. Read by norm-tweaking.
   *
   * Command line: `--set normTweaking.moments=...`.
   *
   * @default "mean"
   */
  readonly moments?: "mean" | "squares" | undefined;
}

/** Settings of `affine`. */
export interface AffineOptions {
  /**
   * Passes over the calibration sequences, per block. An integer of at least 0. Read by affine-quant; cbq with
   * transform=affine.
   *
   * Command line: `--set affine.epochs=...`.
   *
   * @default 20; 6 with --recipe affine-quant --effort quick; 40 with --recipe affine-quant --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by affine-quant with affine.epochs above 0;
   * cbq with transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.batch=...`.
   *
   * @default 4; 1 with --recipe affine-quant --preset paper; 1 with --recipe affine-quant --effort quick
   */
  readonly batch?: number | undefined;
  /**
   * Adam rate of the matrices, relative to the scales that they begin with. A number above 0. Read by affine-quant
   * with affine.epochs above 0; cbq with transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.rate=...`.
   *
   * @default 0.01; 0.005 with --recipe affine-quant --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * Adam rate of the logits of the weights' clips. A number above 0. Read by affine-quant with affine.epochs above
   * 0; cbq with transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.clipRate=...`.
   *
   * @default 0.01
   */
  readonly clipRate?: number | undefined;
  /**
   * What a matrix's elements beside the diagonal are multiplied by; 0 keeps matrices diagonal. A number of at
   * least 0. Read by affine-quant with affine.epochs above 0; cbq with transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.alpha=...`.
   *
   * @default 0.1
   */
  readonly alpha?: number | undefined;
  /**
   * Exponent of the activations in the scales that training begins with. A number from 0 to 1. Read by
   * affine-quant; cbq with transform=affine.
   *
   * Command line: `--set affine.exponent=...`.
   *
   * @default 0.5
   */
  readonly exponent?: number | undefined;
  /**
   * Shift channels too, where a LayerNorm makes them. Read by affine-quant; cbq with transform=affine.
   *
   * Command line: `--set affine.shift=...`.
   *
   * @default true
   */
  readonly shift?: boolean | undefined;
  /**
   * What stands behind norms: scales of channels, which fold into their gains, or a matrix behind these that only
   * crossblock computes, hidden size squared for every token. Read by affine-quant with affine.epochs above 0.
   *
   * Command line: `--set affine.norms=...`.
   *
   * @default "diagonal"
   */
  readonly norms?: "diagonal" | "matrix" | undefined;
  /**
   * Matrices between queries and keys too, of pairs under rotary positions. Read by affine-quant with
   * affine.epochs above 0; cbq with transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.queryKey=...`.
   *
   * @default true
   */
  readonly queryKey?: boolean | undefined;
  /**
   * Scale the inputs of the MLP's last Linear too. Read by affine-quant; cbq with transform=affine.
   *
   * Command line: `--set affine.down=...`.
   *
   * @default true; false with --recipe affine-quant --preset paper
   */
  readonly down?: boolean | undefined;
  /**
   * Also reconstruct what the full-precision block makes of the quantized stream (the augmented loss). Read by
   * affine-quant.
   *
   * Command line: `--set affine.secondBranch=...`.
   *
   * @default false
   */
  readonly secondBranch?: boolean | undefined;
  /**
   * Squared error: plain (the paper), or divided by each token's own magnitude. Read by affine-quant; cbq with
   * transform=affine and affine.epochs above 0.
   *
   * Command line: `--set affine.loss=...`.
   *
   * @default "token"; "plain" with --recipe affine-quant --preset paper
   */
  readonly loss?: "plain" | "token" | undefined;
}

/** Settings of `kurtosis`. */
export interface KurtosisOptions {
  /**
   * Which weights are trained: the folder's, or random ones, for which config.json and a tokenizer are enough.
   * Read by kurtosis.
   *
   * Command line: `--set kurtosis.from=...`.
   *
   * @default "folder"
   */
  readonly from?: "folder" | "scratch" | undefined;
  /**
   * Whether the inputs of Linears are quantized while the model trains, or only measured afterwards. Read by
   * kurtosis with a scheme that quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set kurtosis.inputs=...`.
   *
   * @default "quantized"
   */
  readonly inputs?: "quantized" | "float" | undefined;
  /**
   * Weight of the kurtosis in the loss: its mean over tokens, summed over Linears. A number of at least 0. Read by
   * kurtosis.
   *
   * Command line: `--set kurtosis.weight=...`.
   *
   * @default 0.0001; 0.00001 with --recipe kurtosis --preset paper
   */
  readonly weight?: number | undefined;
  /**
   * Passes over the text. An integer of at least 1. Read by kurtosis.
   *
   * Command line: `--set kurtosis.epochs=...`.
   *
   * @default 4; 1 with --recipe kurtosis --preset paper; 1 with --recipe kurtosis --effort quick; 8 with --recipe
   * kurtosis --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by kurtosis.
   *
   * Command line: `--set kurtosis.batch=...`.
   *
   * @default 16
   */
  readonly batch?: number | undefined;
  /**
   * AdamW rate of the weights, at its highest. A number above 0. Read by kurtosis.
   *
   * Command line: `--set kurtosis.rate=...`.
   *
   * @default 0.001; 0.00015 with --recipe kurtosis --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * Rate of the ends of input ranges, without momentum and decay. A number above 0. Read by kurtosis with a scheme
   * that quantizes inputs (W4A8, W4A4) and kurtosis.inputs=quantized.
   *
   * Command line: `--set kurtosis.inputRate=...`.
   *
   * @default 0.001; 0.00015 with --recipe kurtosis --preset paper
   */
  readonly inputRate?: number | undefined;
  /**
   * What input ranges begin with, from minus to plus this number; null measures them. A number above 0. Read by
   * kurtosis with a scheme that quantizes inputs (W4A8, W4A4) and kurtosis.inputs=quantized.
   *
   * Command line: `--set kurtosis.inputStart=...`.
   *
   * @default null; 4 with --recipe kurtosis --preset paper
   */
  readonly inputStart?: number | null | undefined;
  /**
   * Shift input grids so that zero is one of their levels, as formats need it. Read by kurtosis with a scheme that
   * quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set kurtosis.alignZero=...`.
   *
   * @default true
   */
  readonly alignZero?: boolean | undefined;
  /**
   * Fraction of the steps over which every rate rises to its full value. A number from 0 to 1. Read by kurtosis.
   *
   * Command line: `--set kurtosis.warmup=...`.
   *
   * @default 0.03
   */
  readonly warmup?: number | undefined;
  /**
   * AdamW's decay of matrices, at the full rate. A number of at least 0. Read by kurtosis.
   *
   * Command line: `--set kurtosis.decay=...`.
   *
   * @default 0.1
   */
  readonly decay?: number | undefined;
  /**
   * Longest gradient of a step, over all weights; null takes it as it is. A number of at least 1e-9. Read by
   * kurtosis.
   *
   * Command line: `--set kurtosis.maxGradient=...`.
   *
   * @default 1
   */
  readonly maxGradient?: number | null | undefined;
  /**
   * Parts that the training is saved in: a killed run loses one at most. An integer of at least 1. Read by
   * kurtosis.
   *
   * Command line: `--set kurtosis.parts=...`.
   *
   * @default 10
   */
  readonly parts?: number | undefined;
  /**
   * How the trained weights are rounded in the end: to the nearest code, or by GPTQ. Read by kurtosis.
   *
   * Command line: `--set kurtosis.codes=...`.
   *
   * @default "gptq"
   */
  readonly codes?: "nearest" | "gptq" | undefined;
}

/** Settings of `l4q`. */
export interface L4qOptions {
  /**
   * Rank of the low-rank term; the paper has 4, and 8 for Mistral. An integer of at least 1. Read by l4q.
   *
   * Command line: `--set l4q.rank=...`.
   *
   * @default 4
   */
  readonly rank?: number | undefined;
  /**
   * The low-rank term is multiplied with this over its rank. A number above 0. Read by l4q.
   *
   * Command line: `--set l4q.alpha=...`.
   *
   * @default 16
   */
  readonly alpha?: number | undefined;
  /**
   * What the first codes are: those of BoA or GPTQ, on the text's first sequences, or the weights rounded to
   * nearest (the paper). Read by l4q.
   *
   * Command line: `--set l4q.start=...`.
   *
   * @default "boa"; "nearest" with --recipe l4q --preset paper
   */
  readonly start?: "boa" | "gptq" | "nearest" | undefined;
  /**
   * Where between codes the weight begins: 1 where the solver had it before it rounded, 0 on the codes, which then
   * change only behind half a step. A number from 0 to 1. Read by l4q with l4q.start=boa or gptq.
   *
   * Command line: `--set l4q.slack=...`.
   *
   * @default 1
   */
  readonly slack?: number | undefined;
  /**
   * Which tokens count: of conversations those of the assistant, or all; text that is no conversation counts
   * whole. Read by l4q.
   *
   * Command line: `--set l4q.loss=...`.
   *
   * @default "answers"
   */
  readonly loss?: "answers" | "all" | undefined;
  /**
   * Passes over the text. An integer of at least 1. Read by l4q.
   *
   * Command line: `--set l4q.epochs=...`.
   *
   * @default 3; 1 with --recipe l4q --preset paper; 1 with --recipe l4q --effort quick; 4 with --recipe l4q
   * --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Windows that an epoch counts for: a run that is stopped continues behind the last one. An integer of at least
   * 1. Read by l4q.
   *
   * Command line: `--set l4q.pieces=...`.
   *
   * @default 1
   */
  readonly pieces?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by l4q.
   *
   * Command line: `--set l4q.batch=...`.
   *
   * @default 8; 128 with --recipe l4q --preset paper
   */
  readonly batch?: number | undefined;
  /**
   * What the rate of scales is in: the mean scale of each Linear, or absolute numbers. Read by l4q.
   *
   * Command line: `--set l4q.unit=...`.
   *
   * @default "scale"; "absolute" with --recipe l4q --preset paper
   */
  readonly unit?: "scale" | "absolute" | undefined;
  /**
   * AdamW rate of the low-rank term. A number above 0. Read by l4q.
   *
   * Command line: `--set l4q.rate=...`.
   *
   * @default 0.002; 0.0002 with --recipe l4q --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * Adam rate of the scales. A number above 0. Read by l4q.
   *
   * Command line: `--set l4q.scaleRate=...`.
   *
   * @default 0.003; 0.0002 with --recipe l4q --preset paper
   */
  readonly scaleRate?: number | undefined;
  /**
   * Adam rate of the offsets, in steps of the grid. A number above 0. Read by l4q with --asym.
   *
   * Command line: `--set l4q.offsetRate=...`.
   *
   * @default 0.03; 0.0002 with --recipe l4q --preset paper
   */
  readonly offsetRate?: number | undefined;
  /**
   * Adam rate of the activation clips, relative to the clip. A number above 0. Read by l4q with a scheme that
   * quantizes inputs (W4A8, W4A4) and activation.learnClip=true.
   *
   * Command line: `--set l4q.activationRate=...`.
   *
   * @default 0.005
   */
  readonly activationRate?: number | undefined;
  /**
   * Weight decay of the low-rank term. A number of at least 0. Read by l4q.
   *
   * Command line: `--set l4q.decay=...`.
   *
   * @default 0.01
   */
  readonly decay?: number | undefined;
  /**
   * Fraction of the steps over which every rate rises to its full value. A number from 0 to 1. Read by l4q.
   *
   * Command line: `--set l4q.warmup=...`.
   *
   * @default 0.1
   */
  readonly warmup?: number | undefined;
  /**
   * What a cosine takes every rate down to, as a share of it. A number from 0 to 1. Read by l4q.
   *
   * Command line: `--set l4q.finalRate=...`.
   *
   * @default 0
   */
  readonly finalRate?: number | undefined;
  /**
   * Longest gradient of a step, over everything that is trained; null takes it as it is. A number of at least
   * 1e-9. Read by l4q.
   *
   * Command line: `--set l4q.clip=...`.
   *
   * @default 1; null with --recipe l4q --preset paper
   */
  readonly clip?: number | null | undefined;
}

/** Settings of `tfmq`. */
export interface TfmqOptions {
  /**
   * Reconstruct the time embedding and its projections together, apart from the blocks that read them. Read by
   * tfmq.
   *
   * Command line: `--set tfmq.tiar=...`.
   *
   * @default true
   */
  readonly tiar?: boolean | undefined;
  /**
   * A range of every quantized input for each time step, in place of one for all. Read by tfmq with a scheme that
   * quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set tfmq.fsc=...`.
   *
   * @default true
   */
  readonly fsc?: boolean | undefined;
  /**
   * What becomes of a time step that ranges were not found for: it is refused, or takes the nearest one's. Read by
   * tfmq with a scheme that quantizes inputs (W4A8, W4A4) and tfmq.fsc=true.
   *
   * Command line: `--set tfmq.unknownStep=...`.
   *
   * @default "error"
   */
  readonly unknownStep?: "error" | "nearest" | undefined;
  /**
   * Biases give each layer's outputs, by channel, the mean that they have in full precision. Read by tfmq.
   *
   * Command line: `--set tfmq.biases=...`.
   *
   * @default true; false with --recipe tfmq --preset paper
   */
  readonly biases?: boolean | undefined;
  /**
   * Passes over the examples, per block. An integer of at least 1. Read by tfmq.
   *
   * Command line: `--set tfmq.epochs=...`.
   *
   * @default 20; 125 with --recipe tfmq --preset paper; 6 with --recipe tfmq --effort quick; 60 with --recipe tfmq
   * --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Steps that the time embedding is trained for at least: it is small, sees few time steps, and all depends on
   * it. An integer of at least 1. Read by tfmq.
   *
   * Command line: `--set tfmq.temporalSteps=...`.
   *
   * @default 2000; 20000 with --recipe tfmq --preset paper
   */
  readonly temporalSteps?: number | undefined;
  /**
   * Examples per optimisation step. An integer of at least 1. Read by tfmq.
   *
   * Command line: `--set tfmq.batch=...`.
   *
   * @default 16; 32 with --recipe tfmq --preset paper
   */
  readonly batch?: number | undefined;
  /**
   * Adam rate of the rounding variables. A number above 0. Read by tfmq.
   *
   * Command line: `--set tfmq.rate=...`.
   *
   * @default 0.02; 0.001 with --recipe tfmq --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * Weight of the rounding penalty, where rounding to nearest would lose 1 of a block. A number of at least 0.
   * Read by tfmq.
   *
   * Command line: `--set tfmq.penalty=...`.
   *
   * @default 30
   */
  readonly penalty?: number | undefined;
  /**
   * Fraction of the steps without the penalty. A number from 0 to 1. Read by tfmq.
   *
   * Command line: `--set tfmq.warmup=...`.
   *
   * @default 0.2
   */
  readonly warmup?: number | undefined;
}

/** Settings of `blockAp`. */
export interface BlockApOptions {
  /**
   * What is trained beside scales and zero points: the weights, how they are rounded, or nothing. Read by
   * efficient-qat.
   *
   * Command line: `--set blockAp.train=...`.
   *
   * @default "weights"
   */
  readonly train?: "weights" | "rounding" | "scales" | undefined;
  /**
   * Weigh the search of starting ranges with the mean squares of the inputs. Read by efficient-qat.
   *
   * Command line: `--set blockAp.weightedRange=...`.
   *
   * @default true; false with --recipe efficient-qat --preset paper
   */
  readonly weightedRange?: boolean | undefined;
  /**
   * Train the gains of the norms too, as the released code does. Read by efficient-qat with blockAp.epochs above
   * 0.
   *
   * Command line: `--set blockAp.norms=...`.
   *
   * @default true
   */
  readonly norms?: boolean | undefined;
  /**
   * Passes over the calibration sequences, per block. An integer of at least 0. Read by efficient-qat.
   *
   * Command line: `--set blockAp.epochs=...`.
   *
   * @default 4; 2 with --recipe efficient-qat --preset paper; 2 with --recipe efficient-qat --effort quick; 8 with
   * --recipe efficient-qat --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Sequences per optimisation step. An integer of at least 1. Read by efficient-qat with blockAp.epochs above 0.
   *
   * Command line: `--set blockAp.batch=...`.
   *
   * @default 2
   */
  readonly batch?: number | undefined;
  /**
   * What the rates of weights and scales are in: the mean scale of each Linear, or absolute numbers. Read by
   * efficient-qat with blockAp.epochs above 0.
   *
   * Command line: `--set blockAp.unit=...`.
   *
   * @default "scale"; "absolute" with --recipe efficient-qat --preset paper
   */
  readonly unit?: "scale" | "absolute" | undefined;
  /**
   * Adam rate of the weights, or of how they are rounded. A number above 0. Read by efficient-qat with
   * blockAp.epochs above 0 and blockAp.train=weights or rounding.
   *
   * Command line: `--set blockAp.weightRate=...`.
   *
   * @default 0.01; 0.00002 with --recipe efficient-qat --preset paper
   */
  readonly weightRate?: number | undefined;
  /**
   * Adam rate of the scales. A number above 0. Read by efficient-qat with blockAp.epochs above 0.
   *
   * Command line: `--set blockAp.scaleRate=...`.
   *
   * @default 0.002; 0.0001 with --recipe efficient-qat --preset paper
   */
  readonly scaleRate?: number | undefined;
  /**
   * Adam rate of the zero points, in code units. A number above 0. Read by efficient-qat with blockAp.epochs above
   * 0 and --asym.
   *
   * Command line: `--set blockAp.zeroPointRate=...`.
   *
   * @default 0.005; 0.0001 with --recipe efficient-qat --preset paper
   */
  readonly zeroPointRate?: number | undefined;
  /**
   * Adam rate of the norms' gains. A number above 0. Read by efficient-qat with blockAp.epochs above 0 and
   * blockAp.norms=true.
   *
   * Command line: `--set blockAp.normRate=...`.
   *
   * @default 0.001; 0.00002 with --recipe efficient-qat --preset paper
   */
  readonly normRate?: number | undefined;
  /**
   * Squared error: plain (the paper), or divided by each token's own magnitude. Read by efficient-qat.
   *
   * Command line: `--set blockAp.loss=...`.
   *
   * @default "token"; "plain" with --recipe efficient-qat --preset paper
   */
  readonly loss?: "plain" | "token" | undefined;
}

/** Settings of `brecq.penalty`. */
export interface BrecqPenaltyOptions {
  /**
   * Weight of the rounding penalty, a sum over all weights; the released code takes 0.1 for MobileNetV2. A number
   * of at least 0. Read by brecq with brecq.epochs above 0 and brecq.rounding=adaround.
   *
   * Command line: `--set brecq.penalty.weight=...`.
   *
   * @default 0.01
   */
  readonly weight?: number | undefined;
  /**
   * Fraction of the steps without the penalty. A number from 0 to 1. Read by brecq with brecq.epochs above 0 and
   * brecq.rounding=adaround.
   *
   * Command line: `--set brecq.penalty.warmup=...`.
   *
   * @default 0.2
   */
  readonly warmup?: number | undefined;
  /**
   * Its exponent after the warm-up. A number above 0. Read by brecq with brecq.epochs above 0 and
   * brecq.rounding=adaround.
   *
   * Command line: `--set brecq.penalty.betaStart=...`.
   *
   * @default 20
   */
  readonly betaStart?: number | undefined;
  /**
   * Its exponent at the last step. A number above 0. Read by brecq with brecq.epochs above 0 and
   * brecq.rounding=adaround.
   *
   * Command line: `--set brecq.penalty.betaEnd=...`.
   *
   * @default 2
   */
  readonly betaEnd?: number | undefined;
}

/** Settings of `brecq.inputs`. */
export interface BrecqInputsOptions {
  /**
   * Steps of quantized inputs are learnt together with the roundings, which then make up for the inputs too; or
   * after them, on the full-precision stream (the paper). Read by brecq with a scheme that quantizes inputs (W4A8,
   * W4A4).
   *
   * Command line: `--set brecq.inputs.order=...`.
   *
   * @default "together"; "after" with --recipe brecq --preset paper
   */
  readonly order?: "together" | "after" | undefined;
  /**
   * Passes over the examples for the steps alone (after). An integer of at least 0. Read by brecq with a scheme
   * that quantizes inputs (W4A8, W4A4) and brecq.inputs.order=after.
   *
   * Command line: `--set brecq.inputs.epochs=...`.
   *
   * @default 60; 157 with --recipe brecq --preset paper
   */
  readonly epochs?: number | undefined;
  /**
   * Adam rate of the steps. A number above 0. Read by brecq with a scheme that quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set brecq.inputs.rate=...`.
   *
   * @default 0.01; 0.0004 with --recipe brecq --preset paper
   */
  readonly rate?: number | undefined;
  /**
   * What the rate is in: shares of each step, or absolute numbers (the paper). Read by brecq with a scheme that
   * quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set brecq.inputs.unit=...`.
   *
   * @default "step"; "absolute" with --recipe brecq --preset paper
   */
  readonly unit?: "step" | "absolute" | undefined;
  /**
   * The error of inputs and outputs is raised to this power (the paper: 2.4). A number above 0. Read by brecq with
   * a scheme that quantizes inputs (W4A8, W4A4).
   *
   * Command line: `--set brecq.inputs.power=...`.
   *
   * @default 2; 2.4 with --recipe brecq --preset paper
   */
  readonly power?: number | undefined;
}

/** Settings of `brecq`. */
export interface BrecqOptions {
  /**
   * What is reconstructed at once in an ONNX graph: a residual block, or every layer by itself (AdaRound). Read by
   * brecq.
   *
   * Command line: `--set brecq.unit=...`.
   *
   * @default "block"
   */
  readonly unit?: "block" | "layer" | undefined;
  /**
   * Units that are reconstructed together. An integer of at least 1. Read by brecq.
   *
   * Command line: `--set brecq.window=...`.
   *
   * @default 1
   */
  readonly window?: number | undefined;
  /**
   * Units that a window shares with the one before it. An integer of at least 0. Read by brecq.
   *
   * Command line: `--set brecq.overlap=...`.
   *
   * @default 0
   */
  readonly overlap?: number | undefined;
  /**
   * What is trained: a soft choice between floor and ceiling (the paper), or an offset in code units. Read by
   * brecq.
   *
   * Command line: `--set brecq.rounding=...`.
   *
   * @default "adaround"
   */
  readonly rounding?: "adaround" | "code" | undefined;
  /**
   * Squared error of a window's output: plain, or weighted by gradients of the network's output (the paper). Read
   * by brecq.
   *
   * Command line: `--set brecq.loss=...`.
   *
   * @default "l2"; "fisher" with --recipe brecq --preset paper
   */
  readonly loss?: "l2" | "fisher" | undefined;
  /**
   * The weights: squared gradients (the paper), or (|g| + 1)^2 (the released code). Read by brecq with
   * brecq.epochs above 0 and brecq.loss=fisher.
   *
   * Command line: `--set brecq.fisher=...`.
   *
   * @default "squared"
   */
  readonly fisher?: "squared" | "damped" | undefined;
  /**
   * Passes over the examples, per window. An integer of at least 0. Read by brecq.
   *
   * Command line: `--set brecq.epochs=...`.
   *
   * @default 60; 625 with --recipe brecq --preset paper; 20 with --recipe brecq --effort quick; 200 with --recipe
   * brecq --effort best
   */
  readonly epochs?: number | undefined;
  /**
   * Examples per optimisation step. An integer of at least 1. Read by brecq with brecq.epochs above 0.
   *
   * Command line: `--set brecq.batch=...`.
   *
   * @default 32
   */
  readonly batch?: number | undefined;
  /**
   * Adam rate of the roundings; null: 15 over the number of steps, from 1e-3 to 0.1, or 5e-3 in code units. A
   * number above 0. Read by brecq with brecq.epochs above 0.
   *
   * Command line: `--set brecq.rate=...`.
   *
   * @default null; 0.001 with --recipe brecq --preset paper
   */
  readonly rate?: number | null | undefined;
  /**
   * Adam rate of the scales, relative to the scale (code). A number above 0. Read by brecq with brecq.epochs above
   * 0 and brecq.rounding=code.
   *
   * Command line: `--set brecq.scaleRate=...`.
   *
   * @default 0.002
   */
  readonly scaleRate?: number | undefined;
  /** The penalty that drives soft choices to 0 or 1. */
  readonly penalty?: BrecqPenaltyOptions | undefined;
  /**
   * The starting range of a row loses least by this power of the error (the paper: 2.4). A number above 0. Read by
   * brecq.
   *
   * Command line: `--set brecq.rangePower=...`.
   *
   * @default 2; 2.4 with --recipe brecq --preset paper
   */
  readonly rangePower?: number | undefined;
  /**
   * Least bits of a graph's first and last layers, and of the last one's input; null treats them like others. Read
   * by brecq.
   *
   * Command line: `--set brecq.ends=...`.
   *
   * @default 8
   */
  readonly ends?: 8 | 4 | null | undefined;
  /**
   * What a budget of bits is a mean over: all weights, or all multiply-adds of an example. Read by brecq with
   * --bits-budget.
   *
   * Command line: `--set brecq.bitsBy=...`.
   *
   * @default "size"
   */
  readonly bitsBy?: "size" | "latency" | undefined;
  /**
   * JSON file of what layers take at their bits, in any unit, {"conv1": {"4": 1.2, "8": 2.1}}: the budget is then
   * what all of them take with so many bits; null counts multiply-adds. Read by brecq with --bits-budget and
   * brecq.bitsBy=latency.
   *
   * Command line: `--set brecq.latency=...`.
   *
   * @default null
   */
  readonly latency?: string | null | undefined;
  /** How quantized inputs get their steps. */
  readonly inputs?: BrecqInputsOptions | undefined;
}

/** Settings of `compute`. */
export interface ComputeOptions {
  /**
   * Arithmetic of the matrix products; auto is bfloat16 on a GPU, and on a CPU with AVX-512 BF16 or AMX; else
   * float32.
   *
   * Command line: `--set compute.dtype=...`.
   *
   * @default "auto"
   */
  readonly dtype?: "auto" | "float32" | "bfloat16" | undefined;
  /**
   * Products of the backward pass in windows: full, as the others are, or fp8; auto is fp8 where the GPU can,
   * products are bfloat16 and the model is large (hidden size 4096). Read by slim with slim.clipping=learnt;
   * affine-quant with affine.epochs above 0; tfmq; efficient-qat with blockAp.epochs above 0; brecq with
   * brecq.epochs above 0; cbq with window.epochs above 0.
   *
   * Command line: `--set compute.gradients=...`.
   *
   * @default "auto"
   */
  readonly gradients?: "auto" | "full" | "fp8" | undefined;
  /**
   * CPU threads of one operator; null takes all cores, or OMP_NUM_THREADS. An integer of at least 1.
   *
   * Command line: `--set compute.threads=...`.
   *
   * @default null
   */
  readonly threads?: number | null | undefined;
}

/** Settings of `streams`. */
export interface StreamsOptions {
  /**
   * Where the calibration activations wait between windows; auto takes the first that has room. Read by every
   * recipe with calibration text.
   *
   * Command line: `--set streams.storage=...`.
   *
   * @default "auto"
   */
  readonly storage?: "auto" | "device" | "host" | "disk" | undefined;
}
