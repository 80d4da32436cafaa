import type { Device, DType } from "../../../../tensor/index.js";
import type { DecoderSpec, MixerSpec, RotarySpec } from "../../spec/decoder-spec.js";
import { RotaryTable } from "./rotary.js";

/** The rotary tables of a network's blocks: one for each kind of positions. */
export class RotaryTables implements Disposable {
  private constructor(private readonly tables: ReadonlyMap<string, RotaryTable>) {}

  /** @param length positions of the longest sequence */
  static create(
    { blocks }: Pick<DecoderSpec, "blocks">,
    length: number,
    device: Device,
    dtype: DType = "float32",
  ): RotaryTables {
    const tables = new Map<string, RotaryTable>();
    for (const { attention } of blocks) {
      const turned = turnedHeads(attention);
      if (turned === null || tables.has(keyOf(turned))) continue;
      tables.set(keyOf(turned), RotaryTable.create(turned.rotary, turned.width, length, device, dtype));
    }
    return new RotaryTables(tables);
  }

  /** The table of a block's attention; null where positions do not turn it. */
  of(attention: MixerSpec): RotaryTable | null {
    const turned = turnedHeads(attention);
    return turned === null ? null : (this.tables.get(keyOf(turned)) ?? missing());
  }

  /** Numbers that the tables of a network hold for so many positions. */
  static numbers({ blocks }: Pick<DecoderSpec, "blocks">, length: number): number {
    const widths = new Map<string, number>();
    for (const { attention } of blocks) {
      const turned = turnedHeads(attention);
      if (turned === null) continue;
      const { scaling } = turned.rotary;
      const tables = scaling.kind === "longrope" && length > scaling.originalContext ? 2 : 1;
      widths.set(keyOf(turned), tables * length * turned.width);
    }
    return [...widths.values()].reduce((sum, each) => sum + each, 0);
  }

  dispose(): void {
    for (const table of this.tables.values()) table.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

interface TurnedHeads {
  readonly rotary: RotarySpec;
  /** Of what is turned: a head, or the part of it that latent attention turns. */
  readonly width: number;
}

function turnedHeads(attention: MixerSpec): TurnedHeads | null {
  switch (attention.kind) {
    case "softmax":
      return attention.rotary === null ? null : { rotary: attention.rotary, width: attention.headDim };
    case "latent":
      return { rotary: attention.rotary, width: attention.rotaryDim };
    case "delta":
    case "convolution":
      return null;
  }
}

// Numbers and short lists, as the table needs them.
const keys = new WeakMap<RotarySpec, string>();
function keyOf({ rotary, width }: TurnedHeads): string {
  const known = keys.get(rotary);
  if (known !== undefined) return `${width} ${known}`;
  const key = JSON.stringify(rotary);
  keys.set(rotary, key);
  return `${width} ${key}`;
}

function missing(): never {
  throw new TypeError("these tables were made for another network");
}
