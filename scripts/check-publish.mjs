/** Before `npm publish`: refuses a package that does not say where its sources are, because npm's page would have dead links. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const missing = ["repository", "homepage", "bugs"].filter(
  (field) => JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))[field] === undefined,
);

/** @returns {string} the address of the repository, as this clone knows it, or how to write it */
function address() {
  try {
    const url = execFileSync("git", ["remote", "get-url", "origin"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return url
      .trim()
      .replace(/^git@([^:]+):/, "https://$1/")
      .replace(/\.git$/, "");
  } catch {
    return "https://HOST/OWNER/NAME";
  }
}

if (missing.length > 0) {
  const url = address();
  const fields = `repository.type=git repository.url=git+${url}.git homepage=${url}#readme bugs.url=${url}/issues`;
  process.stderr.write(
    `publish: package.json has no ${missing.join(", ")}: links of the README would lead nowhere on npm\n`,
  );
  process.stderr.write(`  next: npm pkg set ${fields}\n`);
  process.exitCode = 1;
}
