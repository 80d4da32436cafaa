import { describe, expect, it } from "vitest";
import { topLevelMembers } from "./export-config.js";

describe("members of a JSON text", () => {
  it("keeps the spelling of every value", () => {
    const text = `{ "a":10000.0, "b" : {"a": [1e-05, "}"], "c": {}},"s\\"}":"x\\\\", "l": [ {"k": 1}, 2 ],\n "n":null}`;
    expect([...topLevelMembers(text)]).toEqual([
      ["a", "10000.0"],
      ["b", '{"a": [1e-05, "}"], "c": {}}'],
      ['s"}', '"x\\\\"'],
      ["l", '[ {"k": 1}, 2 ]'],
      ["n", "null"],
    ]);
  });

  it("takes the last of two equal keys, as JSON.parse does", () => {
    expect([...topLevelMembers('{"a": 1, "a": 2}')]).toEqual([["a", "2"]]);
  });

  it("finds nothing in an empty object", () => {
    expect(topLevelMembers("{}").size).toBe(0);
  });
});
