import { describe, expect, it } from "vitest";
import {
  Adam,
  backward,
  call,
  callTensor,
  differentiable,
  Generator,
  gradientsOf,
  hasOperator,
  keep,
  liveHandles,
  manualSeed,
  noGrad,
  scope,
  Tensor,
  TensorError,
} from "./index.js";
import { on, testDevice } from "./testing/test-device.js";

const matrix = (rows: number[][]): Tensor =>
  Tensor.from(Float32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0], on);

describe("dispatcher calls", () => {
  it("converts every kind of argument by the schema", () => {
    scope(() => {
      const x = matrix([
        [3, 1, 2],
        [6, 5, 4],
      ]);
      expect(x.matmul(x.transpose(0, 1)).toArray()).toEqual(Float32Array.of(14, 31, 31, 77));
      expect(Tensor.cat([x, x], 1).shape).toEqual([2, 6]);
      expect(x.sum([0, 1]).item()).toBe(21);
      expect(x.clamp(null, 3).amax().item()).toBe(3);
      expect(x.gelu("tanh").shape).toEqual([2, 3]);
      expect(call("aten::equal", [x, x.clone()])).toBe(true);
      const { values, indices } = x.sort(1);
      expect(values.toArray()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
      expect(indices.toArray()).toEqual(BigInt64Array.of(1n, 2n, 0n, 2n, 1n, 0n));
      expect(callTensor("aten::add.Tensor", [x, x], { alpha: -1 }).abs().sum().item()).toBe(0);
      // Tensor?[]: an index list with a hole, as in x[:, [0, 2]].
      const columns = Tensor.from(BigInt64Array.of(0n, 2n), undefined, on);
      expect(callTensor("aten::index.Tensor", [x, [null, columns]]).toArray()).toEqual(Float32Array.of(3, 2, 6, 4));
      expect(x.split(1)).toHaveLength(2);
      // Integers stay integers.
      expect(Tensor.from(Int32Array.of(1, 2), undefined, on).add(1).dtype).toBe("int32");
      expect(Tensor.from(Int32Array.of(1, 2), undefined, on).add(0.5).dtype).toBe("float32");
      expect(Tensor.from(Int32Array.of(7), undefined, on).to("float64").div(2).item()).toBe(3.5);
    });
  });

  it("draws from generators of its own", () => {
    scope(() => {
      using a = new Generator(7, testDevice);
      using b = new Generator(7, testDevice);
      const draw = (generator: Generator): Tensor =>
        callTensor("aten::randn.generator", [[4]], { generator, dtype: 6, ...on });
      expect(draw(a).toArray()).toEqual(draw(b).toArray());
      expect(draw(a).toArray()).toEqual(draw(b).toArray());
    });
  });

  it("says whether an operator exists", () => {
    expect(hasOperator("aten::mm")).toBe(true);
    expect(hasOperator("aten::no_such_operator")).toBe(false);
  });

  it("turns an operator error into one line with operator, shapes and cause", () => {
    const before = liveHandles();
    scope(() => {
      const failure = catchError(() => matrix([[1, 2]]).matmul(matrix([[1, 2]])));
      expect(failure).toBeInstanceOf(TensorError);
      expect(failure.message).not.toContain("\n");
      expect(failure.message).toContain("aten::matmul(float32[1, 2], float32[1, 2])");
      expect(failure.message).toContain("mat1 and mat2 shapes cannot be multiplied");
      expect(failure.message).toContain("Next:");
      expect(failure.message).not.toMatch(/frame #|\.cpp|\.so/);
    });
    expect(liveHandles()).toBe(before);
  });

  it("refuses wrong argument kinds, unknown keywords and disposed tensors", () => {
    scope(() => {
      const x = matrix([[1]]);
      expect(() => call("aten::mm", [x, 3])).toThrow(/expected Tensor, got 3/);
      expect(() => call("aten::mul.Scalar", [x, x])).toThrow(/expected a plain value/);
      expect(() => call("aten::mm", [x])).toThrow(/tensor was disposed|must be Tensor/);
      expect(() => call("aten::mm", [x, x, 1])).toThrow(/takes 2 arguments/);
      expect(() => call("aten::softmax.int", [x, "last"])).toThrow(/argument 'dim' must be int/);
      expect(() => call("aten::add.Tensor", [x, x], { beta: 1 })).toThrow(/no argument 'beta'/);
      expect(() => call("aten::no_such_operator", [x])).toThrow(/no such operator/);
      const y = matrix([[1]]);
      y.dispose();
      expect(() => x.add(y)).toThrow(/disposed/);
    });
  });
});

describe("memory", () => {
  it.skipIf(testDevice !== "cpu")("views typed arrays and tensor memory without a copy (CPU memory only)", () => {
    scope(() => {
      const data = Float32Array.of(1, 2, 3);
      const tensor = Tensor.from(data, undefined, on);
      data[0] = 9;
      expect(tensor.select(0, 0).item()).toBe(9);
      const view = tensor.view();
      tensor.add_(1);
      expect(view).toEqual(Float32Array.of(10, 3, 4));
      expect(data[0]).toBe(10);
    });
  });

  it("reads elements out without keeping libtorch's memory, though the event loop never turns", () => {
    const rounds = 150;
    const size = 2 ** 20;
    const read = (): void => scope(() => void Tensor.full([size], 1, on).toArray());
    for (let i = 0; i < 20; i++) read();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < rounds; i++) read();
    // All of them would be 630 MB; what the garbage collector has not got to yet is a small part.
    expect(process.memoryUsage().rss - before).toBeLessThan((rounds * size * 4) / 3);
  });

  it.skipIf(testDevice !== "cpu")("keeps viewed memory alive after the tensor is gone (CPU memory only)", () => {
    const view = scope(() => {
      const tensor = Tensor.full([1 << 16], 3, on);
      const result = tensor.view();
      return result;
    });
    expect(view.length).toBe(1 << 16);
    expect(view.every((value) => value === 3)).toBe(true);
  });

  it("carries bf16 and fp16 as bits", () => {
    scope(() => {
      const half = Tensor.from(Uint16Array.of(0x3c00, 0xc000), [2], { dtype: "float16", ...on });
      expect(half.toFloat32Array()).toEqual(Float32Array.of(1, -2));
      const brain = Tensor.from(Uint16Array.of(0x3f80, 0xc000), [2], { dtype: "bfloat16", ...on });
      expect(brain.toFloat32Array()).toEqual(Float32Array.of(1, -2));
      expect(Tensor.scalar(1.5, on).to("bfloat16").toArray()).toEqual(Uint16Array.of(0x3fc0));
      expect(() => Tensor.from(Uint16Array.of(1), undefined, on)).toThrow(/dtype/);
      expect(() => Tensor.fromBytes(new Uint8Array(7), [2], "float32")).toThrow(/takes 8 bytes, got 7/);
    });
  });

  it("frees what a scope created, except what it returns", () => {
    const before = liveHandles();
    const kept = scope(() => {
      const a = Tensor.ones([2], on);
      const inner = scope(() => ({ sum: a.add(1), list: [a.mul(3)] }));
      a.exp();
      return inner;
    });
    expect(liveHandles()).toBe(before + 2);
    expect(kept.sum.toArray()).toEqual(Float32Array.of(2, 2));
    kept.sum.dispose();
    kept.list[0]?.dispose();
    kept.list[0]?.dispose();
    expect(liveHandles()).toBe(before);
    const exempt = scope(() => {
      keep(Tensor.ones([1], on));
      return 1;
    });
    expect(exempt).toBe(1);
    expect(liveHandles()).toBe(before + 1);
  });

  it("frees on errors and refuses async bodies", () => {
    const before = liveHandles();
    expect(() =>
      scope(() => {
        Tensor.ones([2], on);
        throw new RangeError("stop");
      }),
    ).toThrow("stop");
    expect(() => scope(async () => Tensor.ones([2], on))).toThrow(/async/);
    expect(liveHandles()).toBe(before);
  });
});

describe("autograd", () => {
  it("agrees with finite differences", () => {
    scope(() => {
      manualSeed(1);
      const x = Tensor.randn([3, 4], { dtype: "float64", ...on }).requiresGrad_();
      const f = (t: Tensor): Tensor => t.sigmoid().mul(t).sum().add(t.square().softmax(1).log().mean());
      backward(f(x));
      const gradient = x.grad?.toArray() ?? [];
      const step = 1e-6;
      noGrad(() => {
        for (let i = 0; i < 12; i++) {
          const nudge = new Float64Array(12);
          nudge[i] = step;
          const delta = Tensor.from(nudge, [3, 4], on);
          const difference = (f(x.add(delta)).item() - f(x.sub(delta)).item()) / (2 * step);
          expect(Number(gradient[i])).toBeCloseTo(difference, 6);
        }
      });
    });
  });

  it("gives gradients without accumulating them", () => {
    scope(() => {
      const a = Tensor.scalar(3, on).requiresGrad_();
      const b = Tensor.scalar(2, on).requiresGrad_();
      const unused = Tensor.scalar(1, on).requiresGrad_();
      const [da, db, none] = gradientsOf([a.mul(b)], [a, b, unused]);
      expect([da?.item(), db?.item(), none]).toEqual([2, 3, null]);
      expect(a.grad).toBeNull();
      expect(unused.grad).toBeNull();
    });
  });

  it("runs a backward written in TypeScript, with saved tensors, and frees them with the graph", () => {
    const before = liveHandles();
    scope(() => {
      const roundThrough = (x: Tensor): Tensor =>
        differentiable(
          [x],
          () => ({ output: x.round(), saved: [x] }),
          (gradient, saved) => [gradient.mul(saved[0]?.square() ?? 1)],
        );
      const x = Tensor.from(Float32Array.of(0.4, 1.6, -2.5), undefined, on).requiresGrad_();
      const y = roundThrough(x.mul(1));
      expect(y.toArray()).toEqual(Float32Array.of(0, 2, -2));
      backward(y.mul(2).sum());
      const expected = [0.4, 1.6, -2.5].map((value) => 2 * value * value);
      x.grad?.toFloat32Array().forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
      });
      expect(noGrad(() => roundThrough(x)).requiresGrad).toBe(false);
    });
    expect(liveHandles()).toBe(before);
  });

  it("passes an error of such a backward on as a TensorError", () => {
    scope(() => {
      const x = Tensor.ones([2], on).requiresGrad_();
      const y = differentiable(
        [x],
        () => ({ output: x.round() }),
        () => {
          throw new RangeError("no gradient today");
        },
      );
      expect(() => backward(y.sum())).toThrow(/no gradient today/);
    });
  });
});

describe("training", () => {
  it("keeps live handles constant and RSS within 5 % over 10,000 steps of a small Linear", () => {
    const before = liveHandles();
    scope(() => {
      manualSeed(0);
      const truth = Tensor.randn([8, 16], on);
      const weight = Tensor.zeros([8, 16], on).requiresGrad_();
      using adam = new Adam([{ parameters: [weight], rate: 1e-2 }]);
      const step = (): void =>
        scope(() => {
          const x = Tensor.randn([32, 16], on);
          backward(x.linear(weight).sub(x.linear(truth)).square().mean());
          adam.step();
        });
      const run = (steps: number): void => {
        for (let i = 0; i < steps; i++) step();
      };
      run(2000);
      const handles = liveHandles();
      const rss = process.memoryUsage.rss();
      run(8000);
      expect(liveHandles()).toBe(handles);
      expect(process.memoryUsage.rss()).toBeLessThan(rss * 1.05);
      expect(weight.sub(truth).abs().amax().item()).toBeLessThan(5e-2);
    });
    expect(liveHandles()).toBe(before);
  });
});

function catchError(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
