"""Golden token ids from the Rust library: `python make.py CORPUS.jsonl` (package `tokenizers`; ids made with 0.23.3).

One small tokenizer for each way in which model families cut text, trained on State of the Union addresses (public
domain), and the ids that the Rust library gives for texts chosen to be awkward.
"""
import json, os, re, sys
from tokenizers import Regex, Tokenizer, AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

texts = [
    "The Congress of the United States met in 1789.",
    "",
    " ",
    "   leading, trailing   ",
    "tabs\tand\r\nlines\n\n\nend",
    "don't we'll I'M they've",
    "1234567 3.14 ½ ² ٣٤ Ⅻ 4½ months",
    "naïve café: Zu\u0308rich, ﬁne № ｆｕｌｌ",
    "日本語のテキスト, עברית, русский",
    "🙂👩‍👩‍👧 end",
    "\ufeffmark \u0085next\u00a0space\u2003em\u200bzero\u3000wide",
    "<s>one</s> two <|end|>three<|end|>  <|end|> <b> four",
    "▁already ▁▁ marked",
    "a" * 50 + "  " + "ha" * 20,
    "x\u0000y\u001fz \u007f",
    "_under_score__ #hash @at $5.00 100% a/b (c) [d] {e}",
    "new\n \n  \n   word \t\t end  ",
]
corpus = [json.loads(line)["text"][:3000] for line in list(open(sys.argv[1]))[:12]] + texts * 12
gpt4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
byte_level = lambda regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
pieces = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
kinds = {
    # name: (normalizer, pre-tokenizer, byte level?, decoder, BPE options)
    "gpt2": (None, byte_level(True), True, decoders.ByteLevel(), {}),
    "gpt2-prefix-space": (None, pre_tokenizers.ByteLevel(add_prefix_space=True), True, decoders.ByteLevel(), {}),
    "smollm": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(True)]), True, decoders.ByteLevel(), {}),
    "digit-runs": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(False), byte_level(True)]), True, decoders.ByteLevel(), {}),
    "llama3": (None, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(gpt4), "isolated"), byte_level(False)]), True, decoders.ByteLevel(), {"ignore_merges": True}),
    "qwen": (normalizers.NFC(), pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(gpt4.replace("{1,3}", "")), "isolated"), byte_level(False)]), True, decoders.ByteLevel(), {}),
    "falcon": (None, pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), byte_level(True), pre_tokenizers.Digits(False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]), True, decoders.ByteLevel(), {}),
    "punctuation": (None, pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), byte_level(False)]), True, decoders.ByteLevel(), {}),
    "inverted-split": (None, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{L}+"), "isolated", invert=True), byte_level(False)]), True, decoders.ByteLevel(), {}),
    "whitespace": (None, pre_tokenizers.Whitespace(), False, decoders.Fuse(), {"unk_token": "<unk>"}),
    "llama2": (spaces, None, False, pieces, {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}),
    "mistral": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), False, pieces, {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}),
    "metaspace-split": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True), False, pieces, {"byte_fallback": True, "unk_token": "<unk>"}),
    "gemma": (normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), False, pieces, {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}),
}
for name, (normalizer, pre, bytelevel, decoder, options) in kinds.items():
    specials = ["<unk>", "<s>", "</s>"] + ([] if bytelevel else [f"<0x{i:02X}>" for i in range(256)])
    trained = Tokenizer(models.BPE(**options))
    # Trained on snippets that ignore the pre-tokenizer's boundaries, so that a boundary missed in encoding gives other ids.
    # SentencePiece vocabularies never join a word's end with the next word's mark; neither do these.
    snippet = r".{2,6}" if bytelevel else r"▁{0,3}[^▁]{1,5}|▁{2,3}"
    marked = [text if bytelevel else text.replace(" ", "▁") for text in corpus]
    snippets = [s for text in marked for k in range(6) for s in re.findall(snippet, text[k:], re.S)]
    trained.normalizer = None
    trained.pre_tokenizer = byte_level(False) if bytelevel else None
    trained.train_from_iterator(snippets, trainers.BpeTrainer(
        vocab_size=len(specials) + (700 if bytelevel else 500), special_tokens=specials, show_progress=False,
        limit_alphabet=90 if not bytelevel else 256, initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if bytelevel else []))
    if normalizer: trained.normalizer = normalizer
    if pre: trained.pre_tokenizer = pre
    state = json.loads(trained.to_str())
    # Byte tokens are ordinary vocabulary in real models, not added tokens.
    state["added_tokens"] = [t for t in state["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True)])
    tokenizer.add_tokens([AddedToken("<b>", normalized=False)])
    tokenizer.decoder = decoder
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    decoded = [tokenizer.decode(i, skip_special_tokens=False) for i in ids]
    golden = {"tokenizer": json.loads(tokenizer.to_str()), "texts": texts, "ids": ids, "decoded": decoded}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.json"), "w") as file:
        json.dump(golden, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
