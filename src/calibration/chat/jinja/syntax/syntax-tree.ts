import type { Value } from "../values.js";

/** What computes a value. */
export type Expression =
  | { readonly type: "constant"; readonly value: Value }
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "list" | "tuple"; readonly items: readonly Expression[] }
  | { readonly type: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly type: "item"; readonly object: Expression; readonly key: Expression }
  | { readonly type: "slice"; readonly object: Expression; readonly bounds: readonly (Expression | null)[] }
  | { readonly type: "call"; readonly callee: Expression; readonly args: Arguments }
  | { readonly type: "filter"; readonly name: string; readonly operand: Expression; readonly args: Arguments }
  | { readonly type: "test"; readonly name: string; readonly operand: Expression; readonly args: Arguments }
  | { readonly type: "not" | "negative" | "positive"; readonly operand: Expression }
  | { readonly type: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | {
      readonly type: "arithmetic";
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly type: "concatenation"; readonly items: readonly Expression[] }
  | { readonly type: "comparison"; readonly first: Expression; readonly rest: readonly Comparison[] }
  | {
      readonly type: "condition";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | null;
    };

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";
export type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export interface Comparison {
  readonly operator: ComparisonOperator;
  readonly operand: Expression;
}

export interface Arguments {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [string, Expression])[];
  /** `*list` and `**dict` */
  readonly list: Expression | null;
  readonly dict: Expression | null;
}

/** Where an assignment or a loop puts values. */
export type Target =
  | { readonly type: "variable"; readonly name: string }
  | { readonly type: "namespace"; readonly object: string; readonly name: string }
  | { readonly type: "targets"; readonly items: readonly Target[] };

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | null;
}

/** A filter of a block, `{% filter name(args) %}`; the innermost first. */
export type FilterStep = Pick<Expression & { readonly type: "filter" }, "name" | "args">;

/** What writes text, or acts. */
export type Statement =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "output"; readonly value: Expression }
  | { readonly type: "if"; readonly branches: readonly Branch[]; readonly otherwise: Body }
  | Loop
  | { readonly type: "break" | "continue" }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly type: "set block";
      readonly target: Target;
      readonly filters: readonly FilterStep[];
      readonly body: Body;
    }
  | { readonly type: "with"; readonly values: readonly (readonly [Target, Expression])[]; readonly body: Body }
  | { readonly type: "macro"; readonly name: string; readonly parameters: readonly Parameter[]; readonly body: Body }
  | {
      readonly type: "call block";
      readonly call: Expression & { readonly type: "call" };
      readonly parameters: readonly Parameter[];
      readonly body: Body;
    }
  | { readonly type: "filter block"; readonly filters: readonly FilterStep[]; readonly body: Body }
  /** transformers' own block: it marks what the model answered, and writes it. */
  | { readonly type: "generation"; readonly body: Body };

export type Body = readonly Statement[];

export interface Branch {
  readonly test: Expression;
  readonly body: Body;
}

export interface Loop {
  readonly type: "loop";
  readonly target: Target;
  readonly items: Expression;
  readonly test: Expression | null;
  readonly isRecursive: boolean;
  readonly body: Body;
  readonly otherwise: Body;
}
