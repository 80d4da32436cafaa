import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "../../checkpoint/checkpoint.js";

/** Tiny networks of many families that transformers saved, with its outputs; not every machine has them. */
export const sharedGoldens = join(import.meta.dirname, "../../../../shared/goldens");

/** The outputs of one of them: `golden.safetensors`. */
export async function openGolden(folder: string): Promise<Checkpoint> {
  const copy = await mkdtemp(join(tmpdir(), "golden-"));
  try {
    await copyFile(join(folder, "golden.safetensors"), join(copy, "model.safetensors"));
    return await Checkpoint.open(copy);
  } finally {
    // What is open stays readable.
    await rm(copy, { recursive: true });
  }
}
