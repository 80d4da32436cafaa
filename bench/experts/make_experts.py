"""Models with experts to measure with, in plain PyTorch, as folders of Qwen3-MoE:
  make_experts.py train IDS.bin OUT [STEPS]   trains 8 layers of 8 experts on token ids (uint16), some 17 M parameters
  make_experts.py random OUT [BLOCKS]         random weights in the sizes of Qwen3-30B-A3B, two blocks of it unless told otherwise
"""
import json, math, os, struct, sys, time
import torch
import torch.nn.functional as F

SMALL = dict(vocab_size=4096, hidden_size=256, moe_intermediate_size=256, num_experts=8, num_experts_per_tok=2, num_hidden_layers=8,
             num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=1024, tie_word_embeddings=True)
LARGE = dict(vocab_size=4096, hidden_size=2048, moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8, num_hidden_layers=2,
             num_attention_heads=32, num_key_value_heads=4, head_dim=128, max_position_embeddings=4096, tie_word_embeddings=True)
FIXED = dict(model_type="qwen3_moe", architectures=["Qwen3MoeForCausalLM"], hidden_act="silu", rms_norm_eps=1e-6, norm_topk_prob=True,
             decoder_sparse_step=1, mlp_only_layers=[], attention_bias=False, use_sliding_window=False, dtype="bfloat16",
             rope_parameters={"rope_type": "default", "rope_theta": 10000.0})


def shapes(c):
    h, i, e, d = c["hidden_size"], c["moe_intermediate_size"], c["num_experts"], c["head_dim"]
    q, kv = c["num_attention_heads"] * d, c["num_key_value_heads"] * d
    found = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    for l in range(c["num_hidden_layers"]):
        p = f"model.layers.{l}."
        found |= {p + "input_layernorm.weight": (h,), p + "post_attention_layernorm.weight": (h,), p + "self_attn.q_norm.weight": (d,),
                  p + "self_attn.k_norm.weight": (d,), p + "self_attn.q_proj.weight": (q, h), p + "self_attn.k_proj.weight": (kv, h),
                  p + "self_attn.v_proj.weight": (kv, h), p + "self_attn.o_proj.weight": (h, q), p + "mlp.gate.weight": (e, h),
                  p + "mlp.gate_proj": (e, i, h), p + "mlp.up_proj": (e, i, h), p + "mlp.down_proj": (e, h, i)}
    return found


def initial(c, device, dtype):
    torch.manual_seed(1)
    return {n: torch.ones(s, device=device, dtype=dtype) if "norm" in n else
            torch.randn(s, device=device, dtype=torch.float32).mul_(0.02 if "embed" in n else s[-1] ** -0.5).to(dtype)
            for n, s in shapes(c).items()}


def save(folder, c, weights):
    """Experts one by one, as checkpoints of this family have them."""
    os.makedirs(folder, exist_ok=True)
    json.dump(FIXED | c | {"intermediate_size": 3 * c["moe_intermediate_size"]}, open(f"{folder}/config.json", "w"), indent=1)
    tensors = {}
    for name, w in weights.items():
        if w.dim() == 3:
            prefix, role = name.rsplit(".", 1)
            tensors |= {f"{prefix}.experts.{e}.{role}.weight": w[e] for e in range(w.shape[0])}
        else:
            tensors[name] = w
    header, at = {}, 0
    for name, w in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(w.shape), "data_offsets": [at, at + 2 * w.numel()]}
        at += 2 * w.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for w in tensors.values():
            f.write(w.detach().to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy().tobytes())


def rms(x, w):
    return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype) * w


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def forward(c, w, ids):
    """Logits, and how unevenly tokens are spread over experts (the balancing loss of Switch, arXiv 2101.03961)."""
    b, t = ids.shape
    heads, kv, d, k, e = (c[n] for n in ("num_attention_heads", "num_key_value_heads", "head_dim", "num_experts_per_tok", "num_experts"))
    angle = torch.arange(t, device=ids.device)[:, None] * (10000.0 ** (-torch.arange(0, d, 2, device=ids.device) / d))[None]
    cos, sin = (f(angle).repeat(1, 2) for f in (torch.cos, torch.sin))
    x, uneven = F.embedding(ids, w["model.embed_tokens.weight"]), 0.0
    for l in range(c["num_hidden_layers"]):
        g = lambda n: w[f"model.layers.{l}.{n}"]
        y = rms(x, g("input_layernorm.weight"))
        q, key, v = (F.linear(y, g(f"self_attn.{n}_proj.weight")).view(b, t, -1, d) for n in "qkv")
        q, key = (rotate(rms(z, g(f"self_attn.{n}_norm.weight")).transpose(1, 2), cos.to(x.dtype), sin.to(x.dtype)) for z, n in ((q, "q"), (key, "k")))
        key, v = (z.repeat_interleave(heads // kv, 1) for z in (key, v.transpose(1, 2)))
        x = x + F.linear(F.scaled_dot_product_attention(q, key, v, is_causal=True).transpose(1, 2).reshape(b, t, -1), g("self_attn.o_proj.weight"))
        y = rms(x, g("post_attention_layernorm.weight")).reshape(b * t, -1)
        p = F.linear(y, g("mlp.gate.weight")).float().softmax(-1)
        top, chosen = p.topk(k, -1)
        share = torch.zeros_like(p).scatter(1, chosen, top / top.sum(-1, keepdim=True)).to(x.dtype)
        uneven = uneven + e * ((share > 0).float().mean(0) * p.mean(0)).sum() / k
        # All experts on all tokens: 8 are few.
        inside = F.silu(torch.einsum("nh,eih->eni", y, g("mlp.gate_proj"))) * torch.einsum("nh,eih->eni", y, g("mlp.up_proj"))
        x = x + torch.einsum("eni,ehi,ne->nh", inside, g("mlp.down_proj"), share).view_as(x)
    return F.linear(rms(x, w["model.norm.weight"]), w["model.embed_tokens.weight"]), uneven / c["num_hidden_layers"]


def train(path, folder, steps):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ids = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.int16).to(torch.int64).remainder(65536).to(device)
    w = {n: v.requires_grad_() for n, v in initial(SMALL, device, torch.float32).items()}
    adam = torch.optim.AdamW(w.values(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    batch, length, started = (32, 512, time.time()) if device == "cuda" else (4, 128, time.time())
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 100) * (0.55 + 0.45 * math.cos(math.pi * step / steps))
        at = torch.randint(0, len(ids) - length - 1, (batch,), device=device)[:, None] + torch.arange(length + 1, device=device)
        with torch.autocast(device, torch.bfloat16):
            logits, uneven = forward(SMALL, w, ids[at[:, :-1]])
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[at[:, 1:]].flatten())
        (loss + 0.01 * uneven).backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.3f} uneven {float(uneven):.3f} {time.time() - started:.0f} s", flush=True)
    save(folder, SMALL, w)
    print(f"{sum(v.numel() for v in w.values()) / 1e6:.1f} M parameters in {folder}")


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 1500)
    else:
        size = LARGE | {"num_hidden_layers": int(sys.argv[3]) if len(sys.argv) > 3 else 2}
        save(sys.argv[2], size, initial(size, "cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16))
