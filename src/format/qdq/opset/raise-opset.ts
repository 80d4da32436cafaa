import type { OnnxNode } from "../../../checkpoint/onnx/schema.js";
import { FormatError } from "../../../errors.js";
import type { NodeEdit } from "../graph/edit-node.js";
import { changes } from "./changes.js";
import { CannotRaise, NodeState, type RaiseContext } from "./node-state.js";

/** Versions of the operators that a file has and is to have. */
export interface OpsetRaise {
  readonly from: number;
  readonly to: number;
  /** What needs the newer one, for errors: "integers of 4 bits". */
  readonly reason: string;
  /** What would do without it. */
  readonly otherwise: string;
}

/**
 * What has to be written otherwise of a node so that it means the same in a newer version; null where nothing has to be.
 *
 * @param where file and node, for errors
 * @throws FormatError where there is no way, naming what does without the newer version
 */
export function raiseNode(
  node: OnnxNode,
  { from, to, reason, otherwise }: OpsetRaise,
  context: RaiseContext,
  where: string,
): NodeEdit | null {
  const state = new NodeState(node);
  let version = from;
  try {
    for (;;) {
      const next = (changes[state.operator] ?? []).find((change) => change.version > version && change.version <= to);
      if (next === undefined) break;
      next.rewrite(state, context);
      version = next.version;
    }
  } catch (error) {
    if (!(error instanceof CannotRaise)) throw error;
    throw new FormatError({
      what: `its operators of version ${from} can't be raised to ${to}, which ${reason}`,
      where,
      why: error.message,
      next: `${otherwise}, or convert the network to version ${to} first (onnx.version_converter)`,
    });
  }
  if (!state.isChanged) return null;
  const { inputs, outputs, operator, dropped, added } = state;
  return { inputs, outputs, operator, dropped, added };
}
