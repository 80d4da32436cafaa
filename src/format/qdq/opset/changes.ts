import { CannotRaise, type NodeState, type RaiseContext } from "./node-state.js";

/** What becomes of a node when its operator goes to a version. */
export interface Change {
  readonly version: number;
  readonly rewrite: (node: NodeState, context: RaiseContext) => void;
}

/** Newest version that the table below goes up to. */
export const LAST_OPSET = 21;

const axesToInput: Change["rewrite"] = (node, context) => {
  const axes = node.takeInts("axes");
  if (axes !== null) node.setInput(1, context.integers(axes));
};

/** Before 13 all dimensions from the axis on count, by default from the second; from 13 on one alone does, by default the last. */
const softmax: Change["rewrite"] = (node, context) => {
  const rank = context.rank(node.inputs[0] ?? "");
  const axis = node.attribute("axis")?.int ?? 1;
  if (axis !== -1 && (rank === null || (axis < 0 ? axis + rank : axis) !== rank - 1)) {
    throw new CannotRaise(
      `${node.operator} over all dimensions from ${axis} on, of ${rank ?? "an unknown number"} in all`,
    );
  }
};

const refuse =
  (what: string): Change["rewrite"] =>
  () => {
    throw new CannotRaise(what);
  };

/** Upsample repeats by floor(x / scale), which Resize has under these words. */
const asResize: Change["rewrite"] = (node, context) => {
  const scales = node.take("scales")?.floats;
  const given = scales === undefined ? (node.inputs[1] ?? "") : context.floats(scales);
  node.operator = "Resize";
  node.inputs = [node.inputs[0] ?? "", "", given];
  node.setText("coordinate_transformation_mode", "asymmetric");
  node.setText("nearest_mode", "floor");
};

/** Resize of version 10 has input and scales, and computes as Upsample does. */
const resizeOf10: Change["rewrite"] = (node) => {
  node.inputs = [node.inputs[0] ?? "", "", node.inputs[1] ?? ""];
  node.setText("coordinate_transformation_mode", "asymmetric");
  node.setText("nearest_mode", "floor");
};

const reductions = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"].map(
  (name) => [`Reduce${name}`, [{ version: 18, rewrite: axesToInput }]] as const,
);

/**
 * Versions from 8 to 21 at which a node has to be written otherwise to mean the same. Operators and versions that are not
 * here take what was written before. Source: ONNX, Changelog of operators.
 */
export const changes: Readonly<Record<string, readonly Change[]>> = {
  ...Object.fromEntries(reductions),
  // The reader refuses those that are not.
  BatchNormalization: [{ version: 9, rewrite: (node) => void node.take("spatial") }],
  Clip: [
    {
      version: 11,
      rewrite: (node, context) => {
        for (const [at, name] of [
          [1, "min"],
          [2, "max"],
        ] as const) {
          const bound = node.take(name)?.float;
          if (bound !== undefined) node.setInput(at, context.floats(bound));
        }
      },
    },
  ],
  // It does nothing in inference.
  Dropout: [{ version: 12, rewrite: (node) => void node.take("ratio") }],
  GroupNormalization: [
    {
      version: 21,
      rewrite: refuse("GroupNormalization, whose gains are by group before version 21 and by channel from then on"),
    },
  ],
  LogSoftmax: [{ version: 13, rewrite: softmax }],
  Pad: [
    {
      version: 11,
      rewrite: (node, context) => {
        const pads = node.takeInts("pads");
        if (pads !== null) node.setInput(1, context.integers(pads));
        const value = node.take("value")?.float;
        if (value !== undefined) node.setInput(2, context.floats(value));
      },
    },
  ],
  ReduceSum: [{ version: 13, rewrite: axesToInput }],
  Resize: [
    { version: 11, rewrite: resizeOf10 },
    {
      version: 13,
      rewrite: (node) => {
        const mode = new TextDecoder().decode(node.attribute("coordinate_transformation_mode")?.string);
        if (mode === "tf_half_pixel_for_nn") throw new CannotRaise(`a Resize of the kind ${mode}`);
      },
    },
  ],
  Slice: [
    {
      version: 10,
      rewrite: (node, context) => {
        for (const [at, name] of [
          [1, "starts"],
          [2, "ends"],
          [3, "axes"],
        ] as const) {
          const list = node.takeInts(name);
          if (list !== null) node.setInput(at, context.integers(list));
        }
      },
    },
  ],
  Softmax: [{ version: 13, rewrite: softmax }],
  Split: [
    {
      version: 13,
      rewrite: (node, context) => {
        const sizes = node.takeInts("split");
        if (sizes !== null) node.setInput(1, context.integers(sizes));
      },
    },
    {
      version: 18,
      rewrite: (node) => {
        if ((node.inputs[1] ?? "") === "") node.setInt("num_outputs", node.outputs.length);
      },
    },
  ],
  Squeeze: [{ version: 13, rewrite: axesToInput }],
  Unsqueeze: [{ version: 13, rewrite: axesToInput }],
  Upsample: [{ version: 11, rewrite: asResize }],
};
