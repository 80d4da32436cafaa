import { EnvironmentError, InputError } from "../../errors.js";
import { givenToken, type HubToken, hubAddress, storedToken } from "./hub-environment.js";

export interface HubClientOptions {
  /** Default `HF_ENDPOINT` or https://huggingface.co. */
  readonly hubUrl?: string;
  /** Sent to the hub only. Default: what the environment or `hf auth login` has. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal;
}

/** The hub as this user reaches it: its address, the token, and what its refusals mean. */
export class HubClient {
  readonly url: string;
  readonly token: HubToken | null;
  readonly #options: HubClientOptions;
  /** The hub's own name for the last refusal: it answers 401 for what is gated, private and not there alike. */
  #code: string | null = null;

  constructor(options: HubClientOptions = {}) {
    this.#options = options;
    this.url = options.hubUrl?.replace(/\/+$/, "") ?? hubAddress();
    this.token = options.token === undefined ? storedToken() : givenToken(options.token);
  }

  /** Adds the token, for requests to the hub itself only: pages and files may be elsewhere. */
  readonly fetch: typeof fetch = async (input, init) => {
    const { signal } = this.#options;
    const request = new Request(input, init);
    if (this.token !== null && new URL(request.url).origin === new URL(this.url).origin) {
      request.headers.set("authorization", `Bearer ${this.token.value}`);
    }
    const response = await (this.#options.fetch ?? fetch)(request, signal && { signal });
    if (!response.ok) this.#code = response.headers.get("x-error-code");
    return response;
  };

  /** The page of a repository. */
  page(name: string): string {
    return `${this.url}/${name}`;
  }

  /**
   * What a refusal of the hub means for whoever asked.
   *
   * @param before why the hub was asked at all
   */
  refusal(name: string, revision: string | null, status: number, before?: string): InputError {
    const where = this.page(name);
    const because = (why: string): string => (before === undefined ? why : `${before}; ${why}`);
    const asked = this.token === null ? "no token was sent" : `the token of ${this.token.origin} was sent`;
    if (this.#code === "RevisionNotFound") {
      return new InputError({
        where,
        what: `the hub answers ${status}`,
        why: because(`it has no revision ${revision ?? "main"}`),
        next: `choose a branch, tag or commit of ${where}/commits/main`,
      });
    }
    if (this.#code === "GatedRepo" || (status === 403 && this.#code === null)) {
      const login =
        this.token === null ? "; then run hf auth login, or set HF_TOKEN" : " with the account of that token";
      return new InputError({
        where,
        what: `the hub answers ${status}`,
        why: because(`the repository is gated: its authors ask for your agreement (${asked})`),
        next: `accept the terms on ${where}${login}`,
      });
    }
    const login =
      this.token === null
        ? "run hf auth login, or set HF_TOKEN"
        : `use a token that is valid and may read ${name} (hf auth login)`;
    return new InputError({
      where,
      what: `the hub answers ${status}`,
      why: because(`it has nothing of this name, or that is private (${asked})`),
      next: `check the name, or the path (./${name} is always a path); for a private repository ${login}`,
    });
  }

  /** @param before why the hub was asked at all */
  failure(what: string, where: string, cause: unknown, before?: string): EnvironmentError {
    const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : "";
    return new EnvironmentError({
      what,
      where,
      why: `${before === undefined ? "" : `${before}; `}${cause instanceof Error ? `${cause.message}${inner}` : String(cause)}`,
      next: "check the network (HF_ENDPOINT names the hub) and run the same command again, which continues; or give a folder",
      cause,
    });
  }
}
