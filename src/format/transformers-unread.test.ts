import { expect, it } from "vitest";
import { expertsUnread } from "./transformers-unread.js";

it("says that transformers leaves experts unread, and nothing of other Linears", () => {
  const notes = (...names: readonly string[]): readonly string[] =>
    expertsUnread({ linears: new Map(names.map((name) => [name, {}])) }, "an AWQ");
  expect(notes("model.layers.0.mlp.experts.3.up_proj")).toEqual([
    expect.stringMatching(/experts from an AWQ folder.*random numbers/),
  ]);
  expect(notes("model.layers.0.mlp.up_proj", "model.layers.0.mlp.shared_expert.up_proj")).toEqual([]);
});
