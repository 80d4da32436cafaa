import type { TensorInfo, TensorReader } from "../../checkpoint/tensor-reader.js";
import { FormatError } from "../../errors.js";
import type { StoredTensor } from "./stored-tensor.js";

type Folder = Pick<TensorReader, "folder" | "tensors">;

/**
 * The quantized modules of a model folder, whose tensors are named `MODULE.PART`.
 *
 * @param mark the part that every one of them has
 * @throws FormatError where there is none
 */
export function quantizedModules<M>(
  { folder, tensors }: Folder,
  mark: string,
  moduleOf: (name: string, marked: TensorInfo) => M,
): Map<string, M> {
  const modules = new Map<string, M>();
  for (const tensor of tensors.values()) {
    if (!tensor.name.endsWith(`.${mark}`)) continue;
    const name = tensor.name.slice(0, -mark.length - 1);
    modules.set(name, moduleOf(name, tensor));
  }
  if (modules.size === 0) contradiction(folder, "no quantized tensor in a folder that claims to be quantized");
  return modules;
}

/** All tensors but the parts of quantized modules. */
export function plainTensors(
  { tensors }: Folder,
  modules: ReadonlyMap<string, unknown>,
  parts: readonly string[],
): ReadonlyMap<string, TensorInfo> {
  const isPart = (name: string): boolean => {
    const dot = name.lastIndexOf(".");
    return modules.has(name.slice(0, dot)) && parts.includes(name.slice(dot + 1));
  };
  return new Map([...tensors].filter(([name]) => !isPart(name)));
}

/** @throws FormatError where the folder has no such tensor */
export function findTensor({ tensors }: Folder, name: string): TensorInfo {
  return tensors.get(name) ?? contradiction(name, "the tensor is missing");
}

/** Reads parts of a module. @throws FormatError where the folder has no such tensor */
export function partReader(
  reader: Pick<TensorReader, "folder" | "tensors" | "read">,
  module: string,
): (part: string) => Promise<StoredTensor> {
  return async (part) => {
    const { name, dtype, shape } = findTensor(reader, `${module}.${part}`);
    return { dtype, shape, bytes: await reader.read(name) };
  };
}

/** Refuses a folder whose tensors are not what its configuration says. */
export function contradiction(where: string, what: string): never {
  throw new FormatError({
    what,
    where,
    why: "weights and configuration don't belong together, or the file is damaged",
    next: "export or download this folder again",
  });
}
