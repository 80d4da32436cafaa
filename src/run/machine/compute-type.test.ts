import { expect, it } from "vitest";
import { computeType } from "./compute-type.js";

const oneDnn = "Build settings: USE_GLOG=ON, USE_MKLDNN=ON, USE_MPI=OFF";
const zen5 = "flags\t\t: fpu avx2 fma avx512f avx512_bf16 avx512_vnni\n";
const sapphireRapids = "flags\t\t: fpu avx2 fma avx512f amx_bf16\n";
const zen3 = "flags\t\t: fpu avx2 fma\n";

it.each([
  { cpuinfo: zen5, config: oneDnn, chosen: "bfloat16" },
  { cpuinfo: sapphireRapids, config: oneDnn.replace("ON,", "1,"), chosen: "bfloat16" },
  { cpuinfo: zen3, config: oneDnn, chosen: "float32" },
  { cpuinfo: zen5, config: "Build settings: USE_MKLDNN=OFF", chosen: "float32" },
  { cpuinfo: "", config: oneDnn, chosen: "float32" },
])("is on a CPU what it has instructions for: $chosen", ({ cpuinfo, config, chosen }) => {
  expect(computeType("auto", "cpu", { cpuinfo, config })).toBe(chosen);
});

it("is bfloat16 on a GPU, and what was asked for anywhere", () => {
  const none = { cpuinfo: "", config: "" };
  expect(computeType("auto", "cuda:0", none)).toBe("bfloat16");
  expect(computeType("float32", "cuda:0", none)).toBe("float32");
  expect(computeType("bfloat16", "cpu", none)).toBe("bfloat16");
});
