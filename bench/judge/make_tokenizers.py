"""Small tokenizers of every kind that crossblock writes into GGUF, with the ids that they give to a text.

usage: python make_tokenizers.py OUT TRAINING.txt [TRAINING.txt ...] -- TEXT.txt [TEXT.txt ...]

OUT receives a folder per kind with tokenizer.json, tokenizer_config.json and ids.json (one list per text, without
special tokens, by the tokenizers library). The pre-tokenizers are those of published models: GPT-2, SmolLM, Llama 3
(and the same without ignore_merges), Qwen 2 and Mistral's Tekken; `spm-*` are SentencePiece vocabularies as
transformers converts them (Llama 2 old and new style, and one without a space in front).
"""

import json
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_3 = CONTRACTIONS + LETTERS + r"\p{N}{1,3}" + REST
QWEN_2 = CONTRACTIONS + LETTERS + r"\p{N}" + REST
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


BYTE_LEVEL = {
    "gpt-2": (pre_tokenizers.ByteLevel(add_prefix_space=False), False, None),
    "smollm": (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        False,
        None,
    ),
    "llama-bpe": (split(LLAMA_3), True, None),
    "smaug-bpe": (split(LLAMA_3), False, None),
    "qwen2": (split(QWEN_2), False, normalizers.NFC()),
    "tekken": (split(TEKKEN), True, None),
}
SPACE = "\u2581"
LEGACY = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
SENTENCE_PIECE = {
    "spm-legacy": (LEGACY, None),
    "spm-metaspace": (None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False)),
    "spm-no-prefix": (normalizers.Replace(" ", SPACE), None),
}


def byte_level(pre_tokenizer, ignore_merges, normalizer, files):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train(files, trainer)
    saved = json.loads(tokenizer.to_str())
    if ignore_merges:
        saved["model"]["ignore_merges"] = True
        # No merge makes this one: only ignore_merges finds it.
        saved["model"]["vocab"]["\u0120Ishmael"] = len(saved["model"]["vocab"])
    return saved, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def sentence_piece(normalizer, pre_tokenizer, files):
    special = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = LEGACY
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=special + byte_tokens, show_progress=False)
    tokenizer.train(files, trainer)
    saved = json.loads(tokenizer.to_str())
    model = saved["model"]
    # SentencePiece knows no pairs, only scores: converters list every way to cut a piece in two.
    order = [left + right for left, right in model["merges"]]
    model["merges"] = [
        [piece[:cut], piece[cut:]]
        for piece in dict.fromkeys(order)
        for cut in range(1, len(piece))
        if piece[:cut] in model["vocab"] and piece[cut:] in model["vocab"]
    ]
    saved["added_tokens"] = saved["added_tokens"][: len(special)]
    saved["normalizer"] = None if normalizer is None else json.loads(normalizer.__getstate__())
    saved["pre_tokenizer"] = None if pre_tokenizer is None else json.loads(pre_tokenizer.__getstate__())
    return saved, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}


def main():
    out = Path(sys.argv[1])
    divider = sys.argv.index("--")
    files = sys.argv[2:divider]
    texts = [Path(path).read_bytes().decode() for path in sys.argv[divider + 1 :]]
    made = {name: byte_level(*kind, files) for name, kind in BYTE_LEVEL.items()}
    made |= {name: sentence_piece(*kind, files) for name, kind in SENTENCE_PIECE.items()}
    for name, (saved, config) in made.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = Tokenizer.from_str(json.dumps(saved))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        (folder / "ids.json").write_text(json.dumps(ids))
        size = tokenizer.get_vocab_size()
        print(json.dumps({"name": name, "vocabulary": size, "tokens": [len(text) for text in ids]}))


if __name__ == "__main__":
    main()
