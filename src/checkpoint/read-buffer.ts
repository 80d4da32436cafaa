/**
 * Memory that tensors are read into one after the other. Fresh memory for each would cost more time than the copy: the
 * system clears it page by page.
 */
export class ReadBuffer {
  #bytes = new Uint8Array(0);

  /** `byteLength` bytes, which the next call gives away again. */
  take(byteLength: number, allocate: (byteLength: number) => Uint8Array<ArrayBuffer>): Uint8Array {
    if (this.#bytes.byteLength < byteLength) this.#bytes = allocate(byteLength);
    return this.#bytes.subarray(0, byteLength);
  }
}
