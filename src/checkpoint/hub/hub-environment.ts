import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { InputError } from "../../errors.js";
import { expandHome } from "../file-system/expand-home.js";

/** What proves to the hub who asks, and where it was found. */
export interface HubToken {
  readonly value: string;
  /** `HF_TOKEN`, the file that `hf auth login` wrote, or that it was given; for messages. */
  readonly origin: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The hub's address, without a slash at the end. */
export function hubAddress(environment: Environment = process.env): string {
  return (environment["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, "");
}

/**
 * The token that the Python libraries would send: `HF_TOKEN`, its older name, or the file that `hf auth login` wrote (at
 * `HF_TOKEN_PATH`, else `token` in the folder of `HF_HOME`). Null where there is none.
 *
 * @throws InputError for one that can't stand in the header of a request; the error does not tell it
 */
export function storedToken(environment: Environment = process.env): HubToken | null {
  for (const origin of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    // As huggingface_hub does: a line break at the end of a copied token is no part of it.
    const value = environment[origin]?.trim();
    if (value) return sendable({ value, origin });
  }
  const origin = expandHome(environment["HF_TOKEN_PATH"] || join(hubHome(environment), "token"));
  let value: string;
  try {
    value = readFileSync(origin, "utf8").trim();
  } catch {
    return null;
  }
  return value === "" ? null : sendable({ value, origin });
}

/**
 * A token that a caller gives.
 *
 * @throws InputError as {@link storedToken} does
 */
export function givenToken(value: string): HubToken {
  return sendable({ value: value.trim(), origin: GIVEN });
}

const GIVEN = "the given token";

// Of what else is in it, fetch would make an error that has the whole token in its message.
function sendable(token: HubToken): HubToken {
  if (/^[!-~]+$/.test(token.value)) return token;
  const { origin, value } = token;
  const without = origin === GIVEN ? "leave it out" : origin.includes("/") ? "run hf auth login" : `unset ${origin}`;
  throw new InputError({
    where: origin,
    what: value === "" ? "the token is empty" : "the token has characters that no token has",
    ...(value !== "" && { why: "a line break, a space or a letter outside ASCII is in the midst of it" }),
    next: `copy the token again (https://huggingface.co/settings/tokens), or ${without}`,
  });
}

/** Where models of the hub are kept, by the Python libraries too. */
export function hubCacheFolder(environment: Environment = process.env): string {
  return expandHome(environment["HF_HUB_CACHE"] || join(hubHome(environment), "hub"));
}

/** The variable that forbids asking the hub; null where none does. */
export function offlineVariable(environment: Environment = process.env): string | null {
  const names = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
  return names.find((name) => /^(1|on|yes|true)$/i.test(environment[name] ?? "")) ?? null;
}

function hubHome({ HF_HOME: home, XDG_CACHE_HOME: cache }: Environment): string {
  return expandHome(home || join(cache || join(homedir(), ".cache"), "huggingface"));
}
