import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { ExportSource, QuantizedLayout } from "../format/export-source.js";
import { compareTensorNames } from "../format/output-tensors.js";
import type { QuantizedWeight } from "../quant/quantized-weight.js";
import type { RecipeSink } from "../recipe/recipe-job.js";

/** Collects what a recipe hands over, in host memory, and shows it to the writers as one source. */
export class ResultSink implements RecipeSink {
  readonly #linears = new Map<string, QuantizedWeight>();
  readonly #plain = new Map<string, Uint8Array>();
  readonly #activations = new Map<string, number>();

  linear(name: string, weight: QuantizedWeight): void {
    if (this.#linears.has(name)) throw new TypeError(`${name} was handed over twice`);
    this.#linears.set(name, weight);
  }

  plain(name: string, bytes: Uint8Array): void {
    this.#plain.set(name, bytes);
  }

  activation(name: string, value: number): void {
    this.#activations.set(name, value);
  }

  /** Clip factors or steps by module name. */
  get activations(): ReadonlyMap<string, number> {
    return this.#activations;
  }

  get linears(): ReadonlyMap<string, QuantizedWeight> {
    return this.#linears;
  }

  /** Names of the tensors that are not quantized and yet not those of the source model: CFP folds into them. */
  get changed(): readonly string[] {
    return [...this.#plain.keys()].sort(compareTensorNames);
  }

  /**
   * The finished result: quantized Linears from here, all else from the checkpoint unless it was folded. In the order
   * of the written files, so that an export of those comes out the same byte for byte.
   */
  exportSource(
    checkpoint: Checkpoint,
    { name, config, activations }: Pick<ExportSource, "config" | "activations"> & { readonly name: string },
  ): ExportSource {
    const plain = [...checkpoint.tensors].filter(([name]) => !this.#linears.has(moduleOf(name)));
    const linears = [...this.#linears].map(([name, weight]) => [name, layoutOf(weight)] as const);
    return {
      name,
      config,
      folder: checkpoint.folder,
      linears: new Map(linears.sort(([a], [b]) => compareTensorNames(`${a}.weight`, `${b}.weight`))),
      plain: new Map(plain.sort(([a], [b]) => compareTensorNames(a, b))),
      activations,
      inputScales: activations?.dynamic === false ? this.#activations : new Map(),
      readQuantized: async (name) => {
        const weight = this.#linears.get(name);
        if (weight === undefined) throw new TypeError(`${name} was not quantized`);
        return weight;
      },
      readPlain: async (name) => this.#plain.get(name) ?? checkpoint.read(name),
    };
  }
}

function layoutOf({ bits, groupSize, perChannel, symmetric, rows, columns }: QuantizedWeight): QuantizedLayout {
  return { bits, groupSize, perChannel, symmetric, rows, columns };
}

function moduleOf(tensor: string): string {
  return tensor.endsWith(".weight") ? tensor.slice(0, -".weight".length) : "";
}
