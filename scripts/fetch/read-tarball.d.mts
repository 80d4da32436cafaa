/** The regular files of a package tarball by path, without the folder `package/`. */
export declare function readTarball(tarball: Uint8Array): Map<string, Buffer>;
