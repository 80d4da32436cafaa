import { describe, expect, it } from "vitest";
import { datasetNameOf } from "./dataset-name.js";
import { splitsOf } from "./dataset-splits.js";

const split = (...paths: string[]): Record<string, readonly string[]> => Object.fromEntries(splitsOf(paths));

describe("the name of a data set", () => {
  it("has a split and a column, or leaves them open", () => {
    expect(datasetNameOf("hub:a/b")).toEqual({ name: "a/b", split: null, column: null });
    expect(datasetNameOf("hub:a/b-2.x:test")).toEqual({ name: "a/b-2.x", split: "test", column: null });
    expect(datasetNameOf("hub:a/b:c-1/train:body")).toEqual({ name: "a/b", split: "c-1/train", column: "body" });
    expect(datasetNameOf("hub:a/b::my column")).toEqual({ name: "a/b", split: null, column: "my column" });
    for (const wrong of ["a/b", "hub:a", "hub:a/b/c", "hub:../b", "hub:a/b:x:y:z", "hub:a/b:a b"]) {
      expect(datasetNameOf(wrong)).toBeNull();
    }
  });
});

describe("the splits of a data set", () => {
  it("are words of the files' names, in every spelling, and files without one are for training", () => {
    expect(
      split("README.md", "data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet", "data/valid.jsonl"),
    ).toEqual({
      train: ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
      validation: ["data/valid.jsonl"],
    });
    expect(split("corpus.txt", "testing.txt.gz", "trainer.py", "dev.jsonl.zst")).toEqual({
      train: ["corpus.txt"],
      test: ["testing.txt.gz"],
      validation: ["dev.jsonl.zst"],
    });
    // A word within another one is none.
    expect(split("constraint.jsonl", "latest.jsonl")).toEqual({ train: ["constraint.jsonl", "latest.jsonl"] });
  });

  it("are folders as well, below those of the configurations where there are several", () => {
    expect(split("default/train/0000.parquet", "default/test/0000.parquet")).toEqual({
      train: ["default/train/0000.parquet"],
      test: ["default/test/0000.parquet"],
    });
    expect(split("raw-v1/train/0000.parquet", "raw-v2/train/0000.parquet", "raw-v2/test-00.parquet")).toEqual({
      "raw-v1/train": ["raw-v1/train/0000.parquet"],
      "raw-v2/train": ["raw-v2/train/0000.parquet"],
      "raw-v2/test": ["raw-v2/test-00.parquet"],
    });
    expect(split("only/partial-train/0000.parquet")).toEqual({ train: ["only/partial-train/0000.parquet"] });
  });
});
