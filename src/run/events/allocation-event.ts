/** Bits were shared out within a budget; a continued run tells it again. */
export interface AllocationEvent {
  readonly event: "allocation";
  /** Mean bits of a code that were allowed. */
  readonly budget: number;
  /** That there are. */
  readonly meanBits: number;
  /** Mean bits per quantized weight, scales and zero points included. */
  readonly bitsPerWeight: number;
  /** What the output is expected to lose by rounding to nearest: nats a token, to second order. */
  readonly loss: number;
  /** Of every quantized Linear, by module name. */
  readonly bits: Readonly<Record<string, number>>;
}
