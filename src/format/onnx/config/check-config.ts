import { isDeepStrictEqual } from "node:util";
import { parseJsonObject } from "../../../checkpoint/json/json.js";
import { ModelFolder } from "../../../checkpoint/model-folder.js";
import { CrossblockError } from "../../../errors.js";
import type { ExportSource } from "../../contract/export-source.js";
import type { TensorCheck } from "../../contract/tensor-check.js";
import type { OnnxPlan } from "../plan.js";
import { onnxConfigText } from "./transformers-js-config.js";

const maxConfigLength = 4_000_000;

/** Compares the `config.json` of an exported folder, by which transformers.js runs the graph, with what the result's would be. */
export function checkConfig(folder: string, plan: OnnxPlan, source: ExportSource): TensorCheck {
  const facts = { name: "config.json", source: null };
  try {
    const text = ModelFolder.open(folder).readText("config.json", maxConfigLength);
    if (text === null) return { ...facts, status: "missing" };
    const found = parseJsonObject(text, "config.json");
    const wanted = parseJsonObject(onnxConfigText(plan, source), "config.json");
    const keys = new Set([...Object.keys(wanted), ...Object.keys(found)]);
    const key = [...keys].find((each) => !isDeepStrictEqual(found[each], wanted[each]));
    if (key === undefined) return { ...facts, status: "same" };
    const show = (value: unknown): string => (value === undefined ? "missing" : JSON.stringify(value).slice(0, 80));
    return { ...facts, status: "different", detail: `${key} is ${show(found[key])} instead of ${show(wanted[key])}` };
  } catch (error) {
    if (!(error instanceof CrossblockError)) throw error;
    return { ...facts, status: "different", detail: error.what };
  }
}
