import { expect, it } from "vitest";
import type { QuantizedLayout } from "../contract/export-source.js";
import { gptqNotes } from "./exporter.js";

const layout: QuantizedLayout = { bits: 4, groupSize: 64, perChannel: false, symmetric: true, rows: 64, columns: 64 };

it("says that transformers leaves experts unread, and nothing of other Linears", () => {
  const notes = (...names: readonly string[]): readonly string[] =>
    gptqNotes({ linears: new Map(names.map((name) => [name, layout])) });
  expect(notes("model.layers.0.mlp.experts.3.up_proj")).toEqual([expect.stringMatching(/experts.*random numbers/)]);
  expect(notes("model.layers.0.mlp.up_proj", "model.layers.0.mlp.shared_expert.up_proj")).toEqual([]);
});
