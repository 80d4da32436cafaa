import { noGrad, scope } from "../../dist/tensor/index.js";

/** A checkpoint with the merged weights of blocks whose Linears have a `LowRankBeside`, in the dtype that they are stored in. */
export function mergedCheckpoint(checkpoint, blocks) {
  const changed = new Map();
  for (const layer of blocks.flatMap((block) => [...block.layers.values()])) {
    const name = `${layer.name}.weight`;
    const stored = { F32: "float32", F16: "float16", BF16: "bfloat16" }[checkpoint.tensors.get(name).dtype];
    noGrad(() => scope(() => changed.set(name, layer.path.merged().to(stored).toBytes())));
  }
  return {
    folder: checkpoint.folder,
    tensors: checkpoint.tensors,
    read: async (name) => changed.get(name) ?? (await checkpoint.read(name)),
    readSync: (name, buffer) => changed.get(name) ?? checkpoint.readSync(name, buffer),
    willRead: () => {},
  };
}
