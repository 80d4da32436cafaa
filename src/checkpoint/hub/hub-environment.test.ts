import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { HubClient } from "./hub-client.js";
import { hubAddress, hubCacheFolder, offlineVariable, storedToken } from "./hub-environment.js";

describe("the environment of the hub's tools", () => {
  it("gives the token of HF_TOKEN, else that of the file that `hf auth login` wrote", () => {
    using home = temporaryFolder();
    const file = join(home.path, "token");
    expect(storedToken({ HF_HOME: home.path })).toBeNull();
    writeFileSync(file, "hf_file\n");
    expect(storedToken({ HF_HOME: home.path })).toEqual({ value: "hf_file", origin: file });
    expect(storedToken({ HF_HOME: home.path, HF_TOKEN: " hf_env\n" })).toEqual({ value: "hf_env", origin: "HF_TOKEN" });
    const elsewhere = join(home.path, "elsewhere");
    writeFileSync(elsewhere, "hf_other");
    expect(storedToken({ HF_HOME: home.path, HF_TOKEN_PATH: elsewhere })?.value).toBe("hf_other");
    mkdirSync(join(home.path, "huggingface"));
    writeFileSync(join(home.path, "huggingface", "token"), "hf_cache");
    expect(storedToken({ XDG_CACHE_HOME: home.path })?.value).toBe("hf_cache");
    writeFileSync(file, "\n");
    expect(storedToken({ HF_HOME: home.path, HF_TOKEN: "" })).toBeNull();
  });

  it("refuses a token that no header can hold, and does not tell it", () => {
    for (const value of ["hf_secret\nsecond", "hf_secret word", "hf_secretä"]) {
      let said = "";
      try {
        storedToken({ HF_TOKEN: value });
      } catch (error) {
        said = String(error);
      }
      expect(said).toMatch(/HF_TOKEN: the token has characters .* unset HF_TOKEN/);
      expect(said).not.toContain("secret");
    }
  });

  it("refuses the same of a token that a caller gives; a line break behind it is no part of it", () => {
    const client = (token: string): HubClient => new HubClient({ hubUrl: "http://127.0.0.1:9", token });
    expect(client("hf_good\n").token).toEqual({ value: "hf_good", origin: "the given token" });
    expect(() => client("hf_one\r\nx-injected: 1")).toThrow(/the given token: .* no token has .*, or leave it out/);
    expect(() => client("hf_one\ntwo")).not.toThrow(/hf_one/);
    expect(() => client(" ")).toThrow(/the given token: the token is empty. Next: copy .*, or leave it out/);
  });

  it("gives address and cache, with the home folder in place of ~", () => {
    expect(hubAddress({})).toBe("https://huggingface.co");
    expect(hubAddress({ HF_ENDPOINT: "http://mirror/" })).toBe("http://mirror");
    expect(hubCacheFolder({ HF_HUB_CACHE: "~/models" })).toBe(join(homedir(), "models"));
    expect(hubCacheFolder({ HF_HOME: "~/hf" })).toBe(join(homedir(), "hf", "hub"));
    expect(hubCacheFolder({})).toBe(join(homedir(), ".cache", "huggingface", "hub"));
  });

  it("names the variable that forbids asking", () => {
    for (const value of ["1", "ON", "yes", "True"])
      expect(offlineVariable({ HF_HUB_OFFLINE: value })).toBe("HF_HUB_OFFLINE");
    expect(offlineVariable({ TRANSFORMERS_OFFLINE: "1" })).toBe("TRANSFORMERS_OFFLINE");
    for (const value of ["0", "", "no"]) expect(offlineVariable({ HF_HUB_OFFLINE: value })).toBeNull();
  });
});
