import { FormatError } from "../../../errors.js";
import { type DecoderSpec, rotaryAmplitude, rotaryFrequencies } from "../../../network/index.js";
import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { toHalfBytes } from "../../bits/float-bytes.js";
import type { ExportSource } from "../../contract/export-source.js";
import { readSound } from "../../contract/output-tensors.js";
import { encodeRows } from "../encode.js";
import { rowBytes } from "../layout.js";
import { graphBlock } from "./graph-block.js";
import type { PlannedTensor } from "./graph-weights.js";

const PIECE_BYTES = 8 * 2 ** 20;

/** The content of a plan's tensors, piece by piece. A quantized weight is read once for its codes, scales and zero points. */
export class TensorBytes {
  #weight: { readonly module: string; readonly weight: QuantizedWeight } | null = null;

  constructor(
    readonly source: ExportSource,
    readonly spec: DecoderSpec,
  ) {}

  /** Pieces of about 8 MiB (plain tensors: one), little-endian. @throws FormatError when a weight is not sound */
  async *pieces(tensor: PlannedTensor): AsyncGenerator<Uint8Array, void, undefined> {
    const { name, source: from, part, layout, container } = tensor;
    if (part === "cosines" || part === "sines") {
      yield* rotaryPieces(tensor, part, this.spec);
    } else if (layout === null || container === null || part === "values") {
      const bytes = await this.source.readPlain(from ?? name);
      if (bytes.byteLength !== tensor.byteLength) {
        throw new FormatError({
          what: `${bytes.byteLength} bytes where the plan has ${tensor.byteLength}`,
          where: name,
          next: "quantize again: the source changed while it was exported",
        });
      }
      yield bytes;
    } else {
      const weight = await this.#read(from ?? name, tensor);
      const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes(container, part)));
      for (let row = 0; row < layout.rows; row += step) {
        yield encodeRows(weight, container, part, row, Math.min(step, layout.rows - row));
      }
    }
  }

  async #read(module: string, { layout, part, container }: PlannedTensor): Promise<QuantizedWeight> {
    const known = this.#weight?.module === module ? this.#weight.weight : null;
    // Before the next is read, so that never two are held.
    this.#weight = null;
    if (layout === null) throw new TypeError(`${module} is not quantized`);
    const weight = known ?? (await readSound(this.source, module, layout));
    const last = part === (container?.zeroPoints === true ? "zeroPoints" : "scales");
    if (!last) this.#weight = { module, weight };
    return weight;
  }
}

function* rotaryPieces(
  { shape, dataType, block }: PlannedTensor,
  part: "cosines" | "sines",
  spec: DecoderSpec,
): Generator<Uint8Array, void, undefined> {
  const { rotary } = graphBlock(spec, block ?? 0).attention;
  if (rotary === null) throw new TypeError("a rotary table without rotary positions");
  const frequencies = rotaryFrequencies(rotary);
  const amplitude = rotaryAmplitude(rotary.scaling);
  const turn = part === "cosines" ? Math.cos : Math.sin;
  const rows = shape[0] ?? 0;
  const step = Math.max(1, Math.floor(PIECE_BYTES / (4 * frequencies.length)));
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    const values = new Float32Array(count * frequencies.length);
    for (let row = 0; row < count; row++) {
      const start = row * frequencies.length;
      frequencies.forEach((frequency, i) => {
        values[start + i] = amplitude * turn((first + row) * frequency);
      });
    }
    yield dataType === "float16" ? toHalfBytes(values) : new Uint8Array(values.buffer);
  }
}
