import { readFileSync } from "node:fs";

/** What apt must install on Debian and Ubuntu: the compiler, libtorch, and the BLAS that makes libtorch fast. */
export const APT_PACKAGES = ["g++", "libtorch-dev", "libopenblas0-pthread"];

/** @returns {boolean} whether this machine installs its software with apt (Debian, Ubuntu and what derives from them). */
export function usesApt() {
  if (process.platform !== "linux") return false;
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync("/etc/os-release", "utf8"));
  } catch {
    return false;
  }
}

/**
 * The command that installs apt packages, written for a person: with sudo unless that person is root.
 * @param {readonly string[]} packages
 * @returns {string}
 */
export function aptCommand(packages) {
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  return `${sudo}apt-get update && ${sudo}apt-get install -y ${packages.join(" ")}`;
}

/** @returns {string} how to get libtorch on this machine, as an instruction. */
export function libtorchHint() {
  const pip = 'run "python3 -m pip install torch" in the Python that is active here';
  const point = "or set CROSSBLOCK_LIBTORCH to a torch or libtorch folder";
  return usesApt()
    ? `run "${aptCommand(APT_PACKAGES.slice(1))}", or ${pip}, ${point}`
    : `${pip}, ${point} (the one with lib/ and include/ in it)`;
}

/** @returns {string} how to get a C++ compiler on this machine, as an instruction. */
export function compilerHint() {
  if (usesApt()) return `run "${aptCommand(["g++"])}", or set CXX to a C++ compiler`;
  if (process.platform === "darwin") return 'run "xcode-select --install", or set CXX to a C++ compiler';
  return "install g++ with the system's package manager (Fedora: dnf install gcc-c++), or set CXX to a C++ compiler";
}
