import type { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import type { DataType } from "../../../checkpoint/onnx/schema.js";
import { tensorFacts } from "../../../checkpoint/onnx/stored-tensor.js";
import { FormatError } from "../../../errors.js";
import { type GraphLayer, type GraphTensors, weightOfRows } from "../../../network/index.js";
import { noGrad, scope, Tensor } from "../../../tensor/index.js";
import type { ExportSource } from "../../contract/export-source.js";
import type { GraphSource } from "../../contract/graph-source.js";

/** Floats of a layer that stay floats: its bias, and the weight of one that is not quantized. */
export interface LayerFloats {
  readonly layer: GraphLayer;
  readonly part: "weight" | "bias";
}

/** The element types of a file's constants, those of Constant nodes included, by name. */
export function storedTypes({ file, model, tensors }: OnnxContent): ReadonlyMap<string, DataType> {
  const types = new Map<string, DataType>();
  for (const { name, dataType } of tensors.values()) types.set(name, dataType);
  for (const { operator, outputs = [], attributes = [] } of model.graph?.nodes ?? []) {
    const tensor = operator === "Constant" ? attributes.find(({ name }) => name === "value")?.tensor : undefined;
    if (tensor !== undefined) types.set(outputs[0] ?? "", tensorFacts(tensor, file).dataType);
  }
  return types;
}

/**
 * The bytes of a layer's floats in the type that the file has for them.
 *
 * @param own the graph's own tensors
 * @throws FormatError where the result's are of another size than the graph's
 */
export async function layerFloats(
  source: ExportSource & { readonly graph: GraphSource },
  own: GraphTensors,
  { layer, part }: LayerFloats,
  dataType: DataType,
): Promise<Uint8Array> {
  const constant = source.graph.cut.graph.constants.get((part === "weight" ? layer.weight : layer.bias) ?? "");
  if (constant === undefined) throw new TypeError(`${layer.plan.module} has no ${part}`);
  const name = `${layer.plan.module}.${part}`;
  const ours = own.readSync(name);
  const given = source.plain.has(name) ? await source.readPlain(name) : ours;
  if (given.length !== ours.length) {
    throw new FormatError({
      what: `${given.length} bytes where the graph has ${ours.length}`,
      where: name,
      next: "quantize again: the result belongs to another network",
    });
  }
  const same = Buffer.compare(given, ours) === 0;
  if (same && constant.dataType === dataType) return constant.bytes();
  return storedAs(given, { layer, part }, dataType);
}

/** fp32 rows as the node reads them, in another type. */
function storedAs(rows: Uint8Array, { layer, part }: LayerFloats, dataType: DataType): Uint8Array {
  const { plan } = layer;
  if (dataType !== "float32" && dataType !== "float16" && dataType !== "bfloat16" && dataType !== "float64") {
    throw new TypeError(`${plan.module} has floats of the type ${dataType}`);
  }
  return noGrad(() =>
    scope(() => {
      const matrix = Tensor.fromBytes(rows, part === "weight" ? [plan.rows, plan.columns] : [plan.rows], "float32");
      return (part === "bias" ? matrix : weightOfRows(matrix, layer).contiguous()).to(dataType).toBytes();
    }),
  );
}
