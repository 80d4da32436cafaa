import { freemem } from "node:os";
import { deviceMemory, hasOperator } from "../tensor/index.js";
import type { RecipeJob } from "./recipe-job.js";

/**
 * Sequences that are trained on the device at once: what was asked for, or as many of a step's batch
 * as fit. The estimate counts what autograd keeps of a block per token: about twelve hidden vectors,
 * eight of the MLP's width and, without a fused attention, four score matrices.
 */
export function microBatch(job: Pick<RecipeJob, "options" | "spec" | "device" | "dtype">, context: number): number {
  const { window } = job.options;
  if (window.microBatch !== null) return Math.min(window.microBatch, window.batch);
  const { spec } = job;
  const bytes = job.dtype === "float32" ? 4 : 2;
  const scores = hasOperator("aten::scaled_dot_product_attention") ? 0 : 4 * spec.attention.heads * context;
  const perToken = (24 * spec.hiddenSize + 12 * spec.intermediateSize) * bytes + scores * 4;
  const needed = perToken * context * window.size;
  const free = deviceMemory(job.device)?.free ?? Math.min(freemem(), 8 * 2 ** 30);
  const fitting = Math.max(1, Math.floor((free * 0.4) / needed));
  return Math.min(window.batch, fitting);
}
