import { afterEach, describe, expect, it, vi } from "vitest";
import { findLibtorch } from "../../../native/build/build.mjs";
import { blasInUse } from "./blas.js";
import { cpuFeatures } from "./cpu-features.js";
import { inspectMachine } from "./doctor.js";

afterEach(() => vi.unstubAllEnvs());

describe("inspectMachine", () => {
  it("finds the libtorch that the engine runs on, and the CPU as the first device", async () => {
    const report = await inspectMachine();
    const libtorch = findLibtorch();
    expect(report.libtorch).toMatchObject({ path: libtorch?.root, version: libtorch?.version });
    expect(report.node.version).toBe(process.versions.node);
    expect(report.addon.compiled).toBe(true);
    expect(report.engine?.threads).toBeGreaterThanOrEqual(1);
    expect(report.engine?.capability).not.toBe("unknown");
    expect(report.devices[0]).toMatchObject({ device: "cpu" });
    for (const { totalBytes, freeBytes } of report.devices) {
      expect(freeBytes).toBeGreaterThan(0);
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    }
    expect(report.disk.length).toBeGreaterThan(0);
    expect(report.problems.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  it("reports a libtorch that is not there, with the remedy, and does not throw", async () => {
    vi.stubEnv("CROSSBLOCK_LIBTORCH", "/nowhere/libtorch");
    const report = await inspectMachine();
    expect(report.libtorch).toBeNull();
    expect(report.engine).toBeNull();
    expect(report.addon).toEqual({ path: null, compiled: false });
    const errors = report.problems.filter(({ severity }) => severity === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.what).toContain("/nowhere/libtorch");
    expect(errors[0]?.next).toMatch(/set CROSSBLOCK_LIBTORCH/);
  });

  it("names a next action with every problem", async () => {
    vi.stubEnv("CROSSBLOCK_LIBTORCH", "/nowhere/libtorch");
    const { problems } = await inspectMachine();
    expect(problems.length).toBeGreaterThan(0);
    for (const { what, next } of problems) {
      expect(what).not.toBe("");
      expect(next).toMatch(/\b(run|set|install|use|close|remove|unset)\b/);
    }
  });
});

describe("blasInUse", () => {
  const line = (path: string): string => `7f00-7f01 r-xp 00000000 fe:00 1234    ${path}\n`;

  it("sees through the system's exchangeable libblas.so.3", () => {
    const openblas = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3";
    expect(blasInUse("BLAS_INFO=generic", line(openblas))).toEqual({ name: "OpenBLAS", path: openblas });
    const reference = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0";
    expect(blasInUse("BLAS_INFO=generic", line(reference))).toEqual({ name: "reference", path: reference });
  });

  it("knows the MKL that is a part of libtorch from its description", () => {
    const config = "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build";
    expect(blasInUse(config, "")).toEqual({ name: "MKL", path: null });
  });
});

describe("cpuFeatures", () => {
  it("reads x86 flags and ARM features as whole words", () => {
    expect(cpuFeatures("model name : X\nflags\t\t: fpu avx avx2 fma avx512f amx_bf16\n")).toEqual([
      "AVX2",
      "FMA",
      "AVX512",
      "AMX-BF16",
    ]);
    expect(cpuFeatures("Features : fp asimd asimdhp i8mm\n")).toEqual(["NEON", "FP16", "I8MM"]);
    expect(cpuFeatures("flags : avx\n")).toEqual([]);
  });
});
