import { describe, expect, it } from "vitest";
import {
  gradientsOf,
  groupedLinear,
  groupSizes,
  liveHandles,
  manualSeed,
  type RowGroups,
  scope,
  Tensor,
} from "../../../../tensor/index.js";
import { on } from "../../../../tensor/testing/test-device.js";
import type { ExpertsRole, ExpertsSpec, RouterSpec } from "../../spec/experts/experts-spec.js";
import { forwardExperts } from "./forward-experts.js";
import { type RouterTensors, route } from "./route.js";

const [HIDDEN, WIDTH, EXPERTS, TOKENS] = [16, 24, 6, 11];

const plainRouter: RouterSpec = {
  scores: "softmax",
  correction: false,
  bias: false,
  groups: null,
  normalised: { epsilon: 0 },
  scaling: 1,
  readsStream: false,
  eps: 1e-6,
  expertScale: false,
};

function specOf(router: Partial<RouterSpec>, more: Partial<ExpertsSpec> = {}): ExpertsSpec {
  return {
    kind: "experts",
    activation: "silu",
    clamped: null,
    width: WIDTH,
    count: EXPERTS,
    perToken: 2,
    bias: false,
    router: { ...plainRouter, ...router },
    weighsInput: false,
    shared: null,
    beside: null,
    ...more,
  };
}

type Linears = Readonly<Record<ExpertsRole, { readonly weight: Tensor; readonly bias: Tensor | null }>>;

function problem(spec: ExpertsSpec): {
  readonly linears: Linears;
  readonly tensors: RouterTensors;
  readonly x: Tensor;
} {
  manualSeed(3);
  const linear = (rows: number, columns: number, bias: boolean) => ({
    weight: Tensor.randn([rows, columns], on).mul(columns ** -0.5),
    bias: bias ? Tensor.randn([rows], on) : null,
  });
  return {
    linears: {
      router: linear(EXPERTS, HIDDEN, spec.router.bias),
      expertGate: linear(EXPERTS * WIDTH, HIDDEN, spec.bias),
      expertUp: linear(EXPERTS * WIDTH, HIDDEN, spec.bias),
      expertDown: linear(EXPERTS * HIDDEN, WIDTH, spec.bias),
      sharedGate: linear(WIDTH, HIDDEN, false),
      sharedUp: linear(WIDTH, HIDDEN, false),
      sharedDown: linear(HIDDEN, WIDTH, false),
      sharedExpertGate: linear(1, HIDDEN, false),
    },
    tensors: {
      correction: spec.router.correction ? Tensor.randn([EXPERTS], on).mul(0.3) : null,
      expertScale: spec.router.expertScale ? Tensor.randn([EXPERTS], on) : null,
    },
    x: Tensor.randn([1, TOKENS, HIDDEN], on).mul(3),
  };
}

function ours(spec: ExpertsSpec, { linears, tensors, x }: ReturnType<typeof problem>, through: readonly number[] = []) {
  const seen: {
    readonly role: ExpertsRole;
    readonly rows: number;
    readonly dropped: boolean;
    readonly sizes: number[];
  }[] = [];
  const apply = (role: ExpertsRole, input: Tensor, groups?: RowGroups): Tensor => {
    const sizes = groups === undefined ? [] : groupSizes(groups);
    seen.push({ role, rows: input.size(0), dropped: groups?.dropped === true, sizes });
    const { weight, bias } = linears[role];
    return groups === undefined ? input.linear(weight, bias) : groupedLinear(input, weight, bias, groups);
  };
  return { output: forwardExperts(spec, x, x, { apply, tensors, through }), seen };
}

/** Token by token and expert by expert, on the host but for the products. */
function plainLoop(spec: ExpertsSpec, { linears, tensors, x }: ReturnType<typeof problem>): Tensor {
  const slice = (role: ExpertsRole, e: number, rows: number) => {
    const { weight, bias } = linears[role];
    return (input: Tensor): Tensor =>
      input.linear(weight.narrow(0, e * rows, rows), bias?.narrow(0, e * rows, rows) ?? null);
  };
  const outputs = Array.from({ length: TOKENS }, (_, t) => {
    const token = x.select(0, 0).select(0, t);
    const logits = [...token.linear(linears.router.weight, linears.router.bias).toFloat32Array()];
    const parts = hostRouting(spec, logits, tensors).map(([e, weight]) => {
      const input = spec.weighsInput ? token.mul(weight) : token;
      const [gate, up] = [slice("expertGate", e, WIDTH)(input), slice("expertUp", e, WIDTH)(input)];
      const { clamped } = spec;
      const inside =
        clamped === null
          ? gate.silu().mul(up)
          : gate
              .clamp(null, clamped.limit)
              .mul(gate.clamp(null, clamped.limit).mul(clamped.alpha).sigmoid())
              .mul(up.clamp(-clamped.limit, clamped.limit).add(1));
      const given = slice("expertDown", e, HIDDEN)(inside);
      return spec.weighsInput ? given : given.mul(weight);
    });
    if (spec.shared !== null) {
      const inside = token.linear(linears.sharedGate.weight).silu().mul(token.linear(linears.sharedUp.weight));
      const given = inside.linear(linears.sharedDown.weight);
      parts.push(spec.shared.gate ? given.mul(token.linear(linears.sharedExpertGate.weight).sigmoid()) : given);
    }
    return parts.reduce((sum, part) => sum.add(part));
  });
  return Tensor.stack(outputs).unsqueeze(0);
}

function hostRouting({ router, perToken }: ExpertsSpec, logits: number[], tensors: RouterTensors): [number, number][] {
  const softmax = (of: number[]): number[] => {
    const top = Math.max(...of);
    const total = of.reduce((sum, v) => sum + Math.exp(v - top), 0);
    return of.map((v) => Math.exp(v - top) / total);
  };
  const scores =
    router.scores === "softmax"
      ? softmax(logits)
      : router.scores === "sigmoid"
        ? logits.map((v) => 1 / (1 + Math.exp(-v)))
        : logits;
  const correction = tensors.correction?.toFloat32Array();
  const choice = scores.map((score, e) => score + (correction?.[e] ?? 0));
  const open = new Set(choice.keys());
  if (router.groups !== null) {
    const { count, kept, by } = router.groups;
    const size = choice.length / count;
    const worth = Array.from({ length: count }, (_, g) => {
      const best = choice.slice(g * size, (g + 1) * size).sort((a, b) => b - a);
      return (best[0] ?? 0) + (by === "best" ? 0 : (best[1] ?? 0));
    });
    const best = [...worth.keys()].sort((a, b) => (worth[b] ?? 0) - (worth[a] ?? 0)).slice(0, kept);
    for (const e of choice.keys()) if (!best.includes(Math.floor(e / size))) open.delete(e);
  }
  const chosen = [...open].sort((a, b) => (choice[b] ?? 0) - (choice[a] ?? 0)).slice(0, perToken);
  let weights = chosen.map((e) => scores[e] ?? 0);
  if (router.scores === "chosen-softmax") weights = softmax(weights);
  const total = weights.reduce((sum, w) => sum + w, 0);
  const scale = tensors.expertScale?.toFloat32Array();
  return chosen.map((e, i) => {
    const share = router.normalised === null ? (weights[i] ?? 0) : (weights[i] ?? 0) / total;
    return [e, share * router.scaling * (scale?.[e] ?? 1)];
  });
}

const kinds: readonly (readonly [string, ExpertsSpec])[] = [
  ["softmax, normalised", specOf({})],
  [
    "softmax as it is, with a gated shared expert",
    specOf({ normalised: null }, { shared: { width: WIDTH, bias: false, gate: true } }),
  ],
  [
    "softmax of the chosen, biases, clamped",
    specOf(
      { scores: "chosen-softmax", bias: true, normalised: null },
      { bias: true, clamped: { limit: 0.7, alpha: 1.702 } },
    ),
  ],
  [
    "sigmoid with correction, groups of two best, scaling, shared",
    specOf(
      {
        scores: "sigmoid",
        correction: true,
        groups: { count: 3, kept: 2, by: "two-best" },
        normalised: { epsilon: 1e-20 },
        scaling: 2.5,
      },
      { shared: { width: WIDTH, bias: false, gate: false } },
    ),
  ],
  ["softmax, groups by the best", specOf({ groups: { count: 3, kept: 1, by: "best" }, normalised: null })],
  [
    "one expert whose input is weighed",
    specOf({ scores: "sigmoid", normalised: null }, { perToken: 1, weighsInput: true }),
  ],
  ["factors of experts", specOf({ expertScale: true })],
];

describe.each(kinds)("experts: %s", (_name, spec) => {
  it("give what a loop over tokens and experts gives, with its gradients", () => {
    const before = liveHandles();
    scope(() => {
      const given = problem(spec);
      const leaves = [given.x, given.linears.expertGate.weight, given.linears.expertDown.weight];
      for (const leaf of leaves) leaf.requiresGrad_();
      const { output, seen } = ours(spec, given);
      const expected = plainLoop(spec, given);
      expect(output.shape).toEqual([1, TOKENS, HIDDEN]);
      expect(output.sub(expected).abs().amax().item()).toBeLessThan(2e-5);
      expect(seen.find(({ role }) => role === "expertDown")?.rows).toBe(TOKENS * spec.perToken);
      const seed = Tensor.randn(output.shape, on);
      // The loop takes its routing from the host: only gradients of experts are the same.
      const [gate, down] = gradientsOf([output], leaves.slice(1), [seed]) as [Tensor, Tensor];
      const [gateOfLoop, downOfLoop] = gradientsOf([expected], leaves.slice(1), [seed]) as [Tensor, Tensor];
      expect(gate.sub(gateOfLoop).abs().amax().item()).toBeLessThan(1e-4);
      expect(down.sub(downOfLoop).abs().amax().item()).toBeLessThan(1e-4);
    });
    expect(liveHandles()).toBe(before);
  });

  it("let others see all tokens pass an expert, and give the same", () => {
    const before = liveHandles();
    scope(() => {
      const given = problem(spec);
      const [routed, watched] = [ours(spec, given), ours(spec, given, [4, 1])];
      expect(watched.output.sub(routed.output).abs().amax().item()).toBe(0);
      const dropped = watched.seen.filter((each) => each.dropped);
      expect(dropped.map(({ role }) => role)).toEqual([0, 1].flatMap(() => ["expertGate", "expertUp", "expertDown"]));
      expect(dropped[0]?.sizes).toEqual([0, 0, 0, 0, TOKENS, 0]);
      expect(dropped[5]?.sizes).toEqual([0, TOKENS, 0, 0, 0, 0]);
    });
    expect(liveHandles()).toBe(before);
  });
});

it("the gradient of the stream, through experts and router, agrees with finite differences", () => {
  scope(() => {
    const spec = specOf({}, { shared: { width: WIDTH, bias: false, gate: true } });
    const given = problem(spec);
    const wide = (of: Tensor): Tensor => of.to("float64");
    const linears = Object.fromEntries(
      Object.entries(given.linears).map(([role, { weight, bias }]) => [
        role,
        { weight: wide(weight), bias: bias === null ? null : wide(bias) },
      ]),
    ) as Linears;
    const x = wide(given.x).requiresGrad_();
    const direction = Tensor.randn(x.shape, on).to("float64");
    const loss = (at: Tensor): Tensor =>
      ours(spec, { ...given, linears, x: at })
        .output.square()
        .sum();
    const [gradient] = gradientsOf([loss(x)], [x]) as [Tensor];
    const step = 1e-6;
    const slope =
      loss(x.detach().add(direction.mul(step)))
        .sub(loss(x.detach().sub(direction.mul(step))))
        .item() /
      (2 * step);
    expect(gradient.mul(direction).sum().item() / slope).toBeCloseTo(1, 5);
  });
});

it("no token gets an expert of a closed group, even if all scores there are higher", () => {
  scope(() => {
    const logits = Tensor.from(Float32Array.of(1, 0.9, 2, -9, -9, -9), [1, 6], on);
    const router: RouterSpec = { ...plainRouter, groups: { count: 3, kept: 1, by: "two-best" }, scores: "sigmoid" };
    const { experts } = route(logits, router, 2, { correction: null, expertScale: null });
    expect([...experts.toFloat32Array()].sort()).toEqual([0, 1]);
  });
});
