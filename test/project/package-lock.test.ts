import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

interface LockEntry {
  readonly resolved?: string;
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const text = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8");
const packages = new Map(Object.entries((JSON.parse(text) as { packages: Record<string, LockEntry> }).packages));

/** Every place where Node would look for a package from inside another. */
function candidates(from: string, name: string): string[] {
  const parts = from === "" ? [] : from.split("/node_modules/");
  return [...parts.map((_, index) => `${parts.slice(0, index + 1).join("/node_modules/")}/`), ""].map(
    (folder) => `${folder}node_modules/${name}`,
  );
}

it("names no registry, so that each user's own is asked", () => {
  expect(text).not.toMatch(/"resolved"/);
  expect(text).not.toMatch(/https?:\/\/[^"]*\.tgz/);
});

it("locks the optional packages of all platforms: npm ci refuses a lock that lacks one", () => {
  const missing = [...packages].flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !candidates(path, name).some((place) => packages.has(place))),
  );
  expect(missing).toEqual([]);
});
