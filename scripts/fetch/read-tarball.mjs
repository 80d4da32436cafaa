import { gunzipSync } from "node:zlib";

const BLOCK = 512;

/**
 * The regular files of a package tarball as npm makes them: gzip over ustar, with pax headers where a path is long.
 * Plain Node, so that it works where there is no `tar` command.
 * @param {Uint8Array} tarball
 * @returns {Map<string, Buffer>} contents by path, without the folder `package/` that everything is in
 */
export function readTarball(tarball) {
  const archive = gunzipSync(tarball);
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  let longPath = "";
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const size = checkedSize(header);
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw new Error("the tarball ends in the middle of a file");
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "x") {
      longPath = /^\d+ path=(.*)$/m.exec(content.toString("utf8"))?.[1] ?? "";
    } else {
      const [name, prefix] = [field(header, 0, 100), field(header, 345, 155)];
      const path = longPath || (prefix === "" ? name : `${prefix}/${name}`);
      if (type === "0" || type === "\0") files.set(path.replace(/^[^/]*\//, ""), content);
      longPath = "";
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/** @param {Buffer} header @param {number} start @param {number} length @returns {string} */
function field(header, start, length) {
  const bytes = header.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? length : end);
}

/** @param {Buffer} header @returns {number} the size of the file, once the header's checksum is right */
function checkedSize(header) {
  // The checksum is taken with its own eight bytes read as spaces.
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  const size = Number.parseInt(field(header, 124, 12), 8);
  if (Number.parseInt(field(header, 148, 8), 8) !== sum || Number.isNaN(size)) {
    throw new Error("the tarball is damaged: the checksum of a header is wrong");
  }
  return size;
}
