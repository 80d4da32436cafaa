import { existsSync, lstatSync } from "node:fs";
import { CheckpointError, OptionError } from "../../errors.js";
import { ModelFolder } from "../model-folder.js";

/** A repository of the Hugging Face Hub. */
export interface HubName {
  /** `owner/name`. */
  readonly name: string;
  /** Branch, tag or commit, where one is named. */
  readonly revision: string | null;
}

/** What marks a name of the hub that could be taken for a path: `hub:owner/name`. */
const prefix = "hub:";
const repository = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/**
 * `owner/name` or `owner/name@revision` of the hub, where the text can't be a path: nothing of that name is here, and there
 * is no folder `owner` in which it might be missed. `hub:owner/name` is a name of the hub whatever is here. A text with
 * another number of slashes, or that begins with a dot, a slash or `~`, is a path.
 */
export function hubNameOf(text: string): HubName | null {
  const marked = text.startsWith(prefix);
  const read = readName(marked ? text.slice(prefix.length) : text);
  if (read === null || marked) return read;
  return existsSync(text) || isThere(text.slice(0, text.indexOf("/"))) ? null : read;
}

/** Whether this names a repository of the hub, and no folder here. */
export function isHubName(text: string): boolean {
  return hubNameOf(text) !== null;
}

/**
 * The text with a revision that was given beside it.
 *
 * @param where the option that gave the revision
 * @throws OptionError where the text is a path, or has a revision already
 */
export function withRevision(text: string, revision: string | null | undefined, where = "--revision"): string {
  if (revision === null || revision === undefined) return text;
  const named = hubNameOf(text);
  if (named === null) {
    throw new OptionError({
      where,
      what: `${text} is a path, and only a model of the hub has revisions`,
      next: "leave the revision out, or give owner/name of the Hugging Face Hub",
    });
  }
  if (named.revision !== null && named.revision !== revision) {
    throw new OptionError({
      where,
      what: `${text} names the revision ${named.revision} already`,
      next: `leave one of the two out: ${named.name}@${revision}`,
    });
  }
  if (!isRevision(revision)) {
    throw new OptionError({
      where,
      what: `"${revision}" is no name of a branch, a tag or a commit`,
      next: "give main, a tag, or 40 hexadecimal digits",
    });
  }
  return `${text.startsWith(prefix) ? prefix : ""}${named.name}@${revision}`;
}

/**
 * The folder that a path leads to.
 *
 * @throws CheckpointError where there is none; where the text could be a name of the hub, it says how that is given
 */
export function localModel(path: string): ModelFolder {
  const named = readName(path);
  if (named === null || existsSync(path)) return ModelFolder.open(path);
  const [parent = "", child = ""] = path.split("/");
  throw new CheckpointError({
    where: path,
    what: "no such model folder",
    why: `the folder ${parent} is here, and has no ${child}`,
    next: `check the path; the model of that name on the Hugging Face Hub is hub:${path}`,
  });
}

/** Whether git could have a branch, a tag or a commit of this name, as far as the name may become a path here. */
export function isRevision(text: string): boolean {
  return /^[\w.+-]+(\/[\w.+-]+)*$/.test(text) && text.length <= 200 && !/(^|\/)\.|\.\.|\.(\/|$)/.test(text);
}

function readName(text: string): HubName | null {
  const at = text.indexOf("@");
  const [name, revision] = at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
  if (!repository.test(name) || (revision !== null && !isRevision(revision))) return null;
  return { name, revision };
}

/** Links without a target count: somebody meant a folder. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
