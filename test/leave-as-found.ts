import { afterAll, vi } from "vitest";

/**
 * Before each file: what a file of tests changes of its process is as it was for the next one that runs there.
 */
const [environment, folder] = [{ ...process.env }, process.cwd()];

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  process.chdir(folder);
});
