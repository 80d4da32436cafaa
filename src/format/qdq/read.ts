import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import type { InputGrid } from "../contract/input-grid.js";
import { decodeLayer, layoutOfStored } from "./decode.js";
import { recordedLayers } from "./provenance.js";
import { type StoredInput, storedInput } from "./stored-inputs.js";
import { makersOf, type StoredLayer, storedLayers } from "./stored-layers.js";

/** A quantized layer of a file. */
export interface QdqLayer {
  readonly layout: QuantizedLayout;
  readonly stored: StoredLayer;
  /** Null where the input stays in floating point. */
  readonly input: StoredInput | null;
}

/** An open file in the QDQ format, whoever wrote it. Throws FormatErrors. */
export class QdqFile implements Disposable {
  /** By module. */
  readonly layers: ReadonlyMap<string, QdqLayer>;

  /** @throws EnvironmentError when the file can't be read; FormatError when it is no sound ONNX file */
  static open(file: string): QdqFile {
    return new QdqFile(OnnxContent.open(file));
  }

  private constructor(readonly content: OnnxContent) {
    try {
      this.layers = readLayers(content);
    } catch (error) {
      content.close();
      throw error;
    }
  }

  /** How inputs of layers are quantized, by module. */
  get inputGrids(): ReadonlyMap<string, InputGrid> {
    return new Map(
      [...this.layers].flatMap(([module, { input }]) => (input === null ? [] : [[module, input.grid] as const])),
    );
  }

  /** Codes, scales and zero points of a quantized layer, `[out, in]`. */
  readQuantized(module: string): QuantizedWeight {
    const layer = this.layers.get(module);
    if (layer !== undefined) return decodeLayer(this.content, module, layer.stored, layer.layout);
    throw new FormatError({
      what: "the file has no quantized layer of this name",
      where: `${this.content.file}, ${module}`,
      next: "see its layers with crossblock inspect",
    });
  }

  [Symbol.dispose](): void {
    this.content.close();
  }
}

function readLayers(content: OnnxContent): ReadonlyMap<string, QdqLayer> {
  const { file } = content;
  const makers = makersOf(content);
  const recorded = recordedLayers(content.model, file);
  const byWeight = new Map<string, string>(
    [...recorded].map(([module, { weight }]) => [`${weight}_quantized`, module]),
  );
  const layers = new Map<string, QdqLayer>();
  for (const stored of storedLayers(content)) {
    const module = byWeight.get(stored.codes) ?? distinct(layers, foreignName(stored));
    const own = recorded.get(module);
    const found = layoutOfStored(content, stored);
    if (found === null) {
      if (own === undefined) continue;
      throw contradiction(file, module, "scales that are not by row or by group of columns");
    }
    if (layers.has(module)) throw contradiction(file, module, "two layers have this name");
    if (own !== undefined && (own.bits > found.bits || own.groupSize !== found.groupSize)) {
      throw contradiction(
        file,
        module,
        `codes of ${own.bits} bits in groups of ${own.groupSize} are said to be in ${found.bits} bits and groups of ${found.groupSize}`,
      );
    }
    const { bits, perChannel, symmetric } = own ?? found;
    const layout = { ...found, bits, perChannel, symmetric };
    layers.set(module, { layout, stored, input: storedInput(content, stored.node, makers, own?.steps) });
  }
  for (const module of recorded.keys()) {
    if (!layers.has(module))
      throw contradiction(file, module, "it is said to be quantized, and no node has its integers");
  }
  return layers;
}

function foreignName({ codes, node }: StoredLayer): string {
  const weight = codes.replace(/_quantized$/, "");
  if (weight.endsWith(".weight")) return weight.slice(0, -".weight".length);
  return node.name === undefined || node.name === "" ? weight : node.name.replace(/^\//, "");
}

function distinct(taken: ReadonlyMap<string, unknown>, name: string): string {
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}.${i}`;
  return free;
}

function contradiction(file: string, module: string, what: string): FormatError {
  return new FormatError({
    what,
    where: `${file}, ${module}`,
    why: "the file is damaged",
    next: "export or download it again",
  });
}
