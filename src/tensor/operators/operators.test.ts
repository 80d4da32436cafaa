import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { scope, Tensor } from "../index.js";
import { Operand } from "./operand.js";

const files = readdirSync(import.meta.dirname).filter((name) => !/test|operand/.test(name));

/** The methods of every group, by the name of its file. */
async function methodsByFile(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const file of files) {
    const module: Record<string, unknown> = await import(join(import.meta.dirname, file));
    const groups = Object.values(module).filter((value) => typeof value === "function");
    const names = groups.flatMap((group) => Object.getOwnPropertyNames(group.prototype));
    found.set(
      file,
      names.filter((name) => name !== "constructor"),
    );
  }
  return found;
}

it("gives a tensor the methods of every group, and no name to two of them", async () => {
  const methods = await methodsByFile();
  expect(methods.size).toBe(files.length);
  const all = [...methods.values()].flat();
  expect(all.length).toBeGreaterThan(80);
  for (const name of all) expect(Tensor.prototype, name).toHaveProperty(name);
  const known = [...all, ...Object.getOwnPropertyNames(Operand.prototype)];
  expect(known.filter((name, i) => name !== "constructor" && known.indexOf(name) !== i)).toEqual([]);
});

it("chains operators of all groups, and in-place ones return the tensor itself", () => {
  scope(() => {
    const x = Tensor.from(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const product = x.add(1).square().transpose(0, 1).matmul(x);
    // [[4, 16], [9, 25]] [[1, 2], [3, 4]] = [[52, 72], [84, 118]]
    expect([...product.sum(0).toFloat32Array()]).toEqual([136, 190]);
    expect(x.mul_(2)).toBe(x);
    expect([...x.toFloat32Array()]).toEqual([2, 4, 6, 8]);
    expect(x).toBeInstanceOf(Tensor);
    expect(x.neg()).toBeInstanceOf(Tensor);
  });
});
