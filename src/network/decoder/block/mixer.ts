import type { Tensor } from "../../../tensor/index.js";
import type { MixerSpec } from "../spec/decoder-spec.js";
import { latentAttention } from "./attention/latent-attention.js";
import { softmaxAttention } from "./attention/softmax-attention.js";
import { shortConvolution } from "./convolution/short-convolution.js";
import { deltaNet } from "./delta/delta-net.js";
import type { Sublayer } from "./forward-context.js";

/** What mixes the positions in a block, `[batch, time, hidden]` of `x` alike, through its output Linear. */
export function mixPositions(mixer: MixerSpec, x: Tensor, sublayer: Sublayer): Tensor {
  switch (mixer.kind) {
    case "softmax":
      return softmaxAttention(mixer, x, sublayer);
    case "latent":
      return latentAttention(mixer, x, sublayer);
    case "delta":
      return deltaNet(mixer, x, sublayer);
    case "convolution":
      return shortConvolution(mixer, x, sublayer);
  }
}
