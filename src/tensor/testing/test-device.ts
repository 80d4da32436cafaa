import type { Device } from "../engine/device.js";

/** Where the numeric tests put their tensors: `CROSSBLOCK_TEST_DEVICE=cuda:0` runs them on a GPU. */
export const testDevice = (process.env["CROSSBLOCK_TEST_DEVICE"] ?? "cpu") as Device;

/** Tensor options of the test device. */
export const on = { device: testDevice } as const;
