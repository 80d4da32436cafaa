import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CrossblockError } from "../../../errors.js";
import { compareLogits } from "../../../evaluate/compare-logits.js";
import type { ExportSource } from "../../../format/contract/export-source.js";
import type { FoundExport } from "../../../format/exporters.js";
import type { Disagreement, RuntimeVerdict, TextsVerdict } from "../certificate.js";
import { compareTokens } from "./compare-tokens.js";
import { type FoundPackage, findPackage } from "./find-package.js";
import type { OwnLogits } from "./own-logits.js";
import type { RuntimeAnswer } from "./runtime-question.js";
import { type Runtime, runtimes } from "./runtimes.js";

/**
 * Most nats per token between the same fp32 weights in two implementations of a network. Measured: 1e-7 for the bundled
 * model, 2e-3 at most for models with large activations, whose cache suffers from fp16. A wrong name, order or base of
 * rotation costs whole nats.
 */
const mostWithSameWeights = 5e-3;

/**
 * The same with the runtime's own rounding of activations: a coarse sieve, since that rounding is not the export's fault.
 * Measured: 1e-4 to 7e-2, and 0.36 for a model that two bits had ruined.
 */
const mostAsWritten = 1;

/**
 * Relative squared error of a tensor up to which a loss changes nothing that the limits would notice: that of `q8_0`, in which GGUF
 * files have the embedding by default, is at most 32 / (12 * 127^2).
 */
const finestLoss = 2e-4;

/** Bytes above which the second run is left out: its file is written to the temporary folder. */
const mostPlainBytes = 4e9;

/** What is needed to judge an export by a runtime. */
export interface JudgeInput {
  readonly found: FoundExport;
  readonly result: ExportSource;
  /** Largest relative squared error of a tensor that is not exact, as was asked for or is the default; null where all are. */
  readonly loss: number | null;
  /** Folder whose `node_modules` has the runtimes; null for the working folder. */
  readonly project: string | null;
  /** Computed once, when first needed. */
  readonly own: () => Promise<OwnLogits>;
  /** Called before the runtime starts. */
  readonly onRun: () => void;
  readonly signal: AbortSignal;
}

/** The runtime's verdict, and what disagrees. */
export interface Judgement {
  readonly verdict: RuntimeVerdict;
  readonly disagreements: readonly Disagreement[];
  /** What is not the export's fault, and good to know all the same: whole sentences. */
  readonly notes: readonly string[];
}

/** Lets an independent runtime compute logits from an export, where one is installed. */
export async function judgeRuntime(input: JudgeInput): Promise<Judgement> {
  const { found, result, loss, project, own, onRun, signal } = input;
  const runtime = runtimes[found.format];
  if (runtime === undefined) {
    return absent(
      `no runtime of Node loads ${found.format}; docs/measurements/readers.md tells what Python's readers made of it`,
    );
  }
  const installed = findPackage(runtime.packageName, project ?? undefined);
  if (installed === null) {
    return absent(
      `${runtime.packageName} is not installed; npm install ${runtime.packageName} in your project adds it`,
    );
  }
  let reference: OwnLogits;
  try {
    reference = await own();
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    return absent(`crossblock's own network can't run: ${error.message}`);
  }
  const { tokens, vocabulary, texts } = reference;
  const ask = (file: string): Promise<RuntimeAnswer> =>
    runtime.run(installed, { file, tokens, vocabulary, texts: texts.map(({ text }) => text) }, signal);
  const name = `${runtime.packageName} ${installed.version}`;
  onRun();
  const written = await ask(found.path);
  if ("error" in written) {
    return {
      verdict: absent(`${name} stopped: ${written.error}`).verdict,
      disagreements: [{ tensor: "runtime", what: `${name} can't run the export: ${written.error}` }],
      notes: [],
    };
  }
  const plain = await askPlain(runtime, installed, result, reference, signal);
  const asWritten = compareLogits(written.logits, reference.logits, tokens);
  const sameWeights = plain === null || "error" in plain ? null : compareLogits(plain.logits, reference.logits, tokens);
  const cuts = written.ids === null ? null : compareTokens(name, texts, written.ids);
  const other = await askTokenizer(runtime, input, texts);
  const disagreements: Disagreement[] = [...(cuts?.disagreements ?? [])];
  const limit = (what: string, value: number, most: number): void => {
    // Written so that a divergence that is no number fails.
    if (value <= most) return;
    const shown = `${value.toPrecision(2)} nats per token from crossblock's own network, more than ${most}`;
    disagreements.push({ tensor: "logits", what: `${what}: ${shown}` });
  };
  if (plain !== null && "error" in plain) {
    disagreements.push({ tensor: "runtime", what: `${name} can't run the same weights in fp32: ${plain.error}` });
  }
  if (sameWeights !== null) limit("the same weights in fp32", sameWeights.divergence, mostWithSameWeights);
  if (loss === null || loss <= finestLoss) limit("the export", asWritten.divergence, mostAsWritten);
  const note =
    loss === null ? runtime.note : `${runtime.note}; tensors that are not exact have a part in the difference`;
  const status = disagreements.length === 0 ? "agrees" : "disagrees";
  return {
    verdict: {
      status,
      runtime: name,
      tokens: tokens.length,
      asWritten,
      sameWeights,
      texts: cuts?.verdict ?? other.verdict,
      note,
    },
    disagreements,
    notes: other.notes,
  };
}

/** The tokenizer of another package, where the runtime has none and that package is installed. */
async function askTokenizer(
  { tokenizer }: Runtime,
  { found, project, signal }: JudgeInput,
  texts: OwnLogits["texts"],
): Promise<{ readonly verdict: TextsVerdict | null; readonly notes: readonly string[] }> {
  const installed = tokenizer === undefined ? null : findPackage(tokenizer.packageName, project ?? undefined);
  if (tokenizer === undefined || installed === null) return { verdict: null, notes: [] };
  const name = `${tokenizer.packageName} ${installed.version}`;
  const given = texts.map(({ text }) => text);
  const answer = await tokenizer.cut(installed, found.path, given, signal);
  if (answer === null) return { verdict: null, notes: [] };
  if ("error" in answer) return { verdict: null, notes: [`${name} can't open the tokenizer: ${answer.error}`] };
  const { verdict, disagreements } = compareTokens(name, texts, answer.ids ?? []);
  return { verdict, notes: disagreements.map(({ what }) => what) };
}

async function askPlain(
  runtime: Runtime,
  installed: FoundPackage,
  result: ExportSource,
  { tokens, vocabulary }: OwnLogits,
  signal: AbortSignal,
): Promise<RuntimeAnswer | null> {
  const weights = [...result.linears.values()].reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  if (runtime.plainBytes(weights) > mostPlainBytes) return null;
  const folder = await mkdtemp(join(tmpdir(), "crossblock-verify-"));
  try {
    const file = await runtime.writePlain(result, folder, signal);
    return await runtime.run(installed, { file, tokens, vocabulary, texts: [] }, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function absent(why: string): Judgement {
  return { verdict: { status: "absent", why }, disagreements: [], notes: [] };
}
