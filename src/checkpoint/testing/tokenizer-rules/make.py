"""Token ids of the Rust library for rules that tokenizers seldom use: `python make.py` (package `tokenizers`; ids made with 0.23.3).

Every case is a small BPE, Unigram or WordPiece vocabulary with a part or two of tokenizer.json changed, and the ids of all texts.
"""
import json, os
from tokenizers import Tokenizer

texts = ["", "  ", "ab cd", " ab  cd ", "ab<u>ab <u> ab  <u>  ab", "<u>", "qx aqx qxb qx. _qx qx\u00e9 \u65e5qx qx", "QX Qx qx",
         "a\u2603b \u2603\u2603 \u2603", "ab\u3000cd\u0085\ufeffab\u00a0", "\u03a3\u0391\u03a3 \u0391\u03a3 \u0130", "a-b--c", "e\u0301<u>e\u0301",
         "a$1b", "cdcd ab12 3", "ab    <w>  <w>ab", "\n\nab\n"]
letters = "abcdeqxABQX123.,-_$<>uw\u2581 \n\u00e9"
pieces = {"BPE": ["ab", "\u2581ab", "cd", "\u2581cd", "\u2581\u2581", "ba", "Ab"], "WordPiece": [f"##{c}" for c in letters] + ["ab", "##ab", "cd"]}
merges = [["a", "b"], ["\u2581", "ab"], ["c", "d"], ["\u2581", "cd"], ["\u2581", "\u2581"], ["b", "a"], ["A", "b"]]
vocab = {kind: {token: id for id, token in enumerate(["<unk>", *letters, *more])} for kind, more in pieces.items()}
models = {
    "BPE": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": False, "vocab": vocab["BPE"], "merges": merges},
    "Unigram": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                "vocab": [[token, -float(len(vocab["BPE"]) - id) / 10] for token, id in vocab["BPE"].items()]},
    "WordPiece": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": vocab["WordPiece"]},
}
flags = ("single_word", "lstrip", "rstrip", "normalized")


def tokenizer(change, kind="BPE", added=()):
    model = {**models[kind], **change.get("model", {})}
    known = model["vocab"] if isinstance(model["vocab"], dict) else {}
    fresh = iter(range(len(model["vocab"]), len(model["vocab"]) + len(added)))
    tokens = [dict(id=known[content] if content in known else next(fresh), content=content, special=False, **{flag: flag in on for flag in flags})
              for content, *on in added]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, **change, "model": model}


def metaspace(scheme, split, **more):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split, **more}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def sequence(*steps, of="normalizers"):
    return {"type": "Sequence", of: list(steps)}


first = {"pre_tokenizer": metaspace("first", False)}
cases = {"an added token found as a whole word": tokenizer({}, added=[("qx", "single_word"), ("<u>",)]),
         "a whole word, normalized": tokenizer({"normalizer": {"type": "Lowercase"}}, added=[("QX", "single_word", "normalized")]),
         "white space taken along before": tokenizer({}, added=[("<u>", "lstrip"), ("qx", "lstrip")]),
         "white space taken along behind": tokenizer({}, added=[("<u>", "rstrip"), ("qx", "rstrip")]),
         "white space taken along twice": tokenizer({}, added=[("  ", "lstrip", "rstrip"), ("<w>", "lstrip", "rstrip"), ("\n", "rstrip")]),
         "a token with its space": tokenizer({}, added=[(" ab",), ("ab ", "normalized")]),
         "one token within another": tokenizer({}, added=[("a",), ("ab",), ("<u",), ("<u>ab", "single_word")]),
         "an added token that the vocabulary spells": tokenizer({"model": {"ignore_merges": True}}, added=[("qx", "single_word")]),
         "WordPiece beside an added token": tokenizer({"pre_tokenizer": {"type": "WhitespaceSplit"}}, "WordPiece", [("qx", "single_word")]),
         "Lowercase and sigma": tokenizer({"normalizer": {"type": "Lowercase"}}, added=[("\u03a3", "normalized"), ("\u03c2",), ("\u03c3",)]),
         "Strip of every white space": tokenizer({"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}),
         "Replace with a dollar sign": tokenizer({"normalizer": replace({"String": "a"}, "$&")}),
         "Replace by a pattern": tokenizer({"normalizer": replace({"Regex": "\\s+"}, "$1")}),
         "Prepend before nothing": tokenizer({"normalizer": sequence({"type": "Strip", "strip_left": True, "strip_right": True},
                                                                    {"type": "Prepend", "prepend": "\u2581"}, replace({"String": " "}, "\u2581"))},
                                             added=[("<u>",)]),
         "a normalized token behind Prepend": tokenizer({"normalizer": sequence({"type": "Prepend", "prepend": "\u2581"}, replace({"String": " "}, "\u2581"))},
                                                        added=[("<u>", "normalized")]),
         "NFC": tokenizer({"normalizer": {"type": "NFC"}}, added=[("e\u0301", "normalized")]),
         "BertNormalizer": tokenizer({"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                                                     "lowercase": True}, "pre_tokenizer": {"type": "BertPreTokenizer"}}, "WordPiece"),
         "Metaspace first": tokenizer(first, added=[("<u>",)]), "Metaspace first, normalized token": tokenizer(first, added=[("<u>", "normalized")]),
         "Metaspace always": tokenizer({"pre_tokenizer": metaspace("always", False)}, added=[("<u>",)]),
         "Metaspace never, split": tokenizer({"pre_tokenizer": metaspace("never", True)}, added=[("<u>",)]),
         "Metaspace of old files": tokenizer({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": False, "prepend_scheme": "never"}}),
         "Metaspace of old files with a space": tokenizer({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}}),
         "WhitespaceSplit and Metaspace": tokenizer({"pre_tokenizer": sequence({"type": "WhitespaceSplit"}, metaspace("always", True), of="pretokenizers")}),
         "Split that removes a text": tokenizer({"pre_tokenizer": {"type": "Split", "pattern": {"String": "-"}, "behavior": "Removed", "invert": False}}),
         "CharDelimiterSplit": tokenizer({"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "-"}}),
         "FixedLength": tokenizer({"pre_tokenizer": {"type": "FixedLength", "length": 3}}),
         "unknown characters, fused within a word": tokenizer({"pre_tokenizer": {"type": "WhitespaceSplit"}}),
         "unknown characters, one by one": tokenizer({"model": {"fuse_unk": False}}),
         "unknown characters that vanish": tokenizer({"model": {"unk_token": None}}),
         "byte fallback without bytes": tokenizer({"model": {"unk_token": None, "byte_fallback": True}}),
         "Unigram": tokenizer(first, "Unigram", [("<u>",)]),
         "Unigram, split": tokenizer({"pre_tokenizer": metaspace("always", True)}, "Unigram", [("qx", "single_word")])}
unibytes = [["<unk>", 0.0], *[[f"<0x{byte:02X}>", -9.0] for byte in range(256)], *[[token, -float(id) / 10] for id, token in enumerate(["a", "b", "ab", "c"])]]
cases["Unigram with bytes"] = tokenizer({"model": {"byte_fallback": True, "vocab": unibytes}}, "Unigram")
golden = [{"texts": texts}]
for name, state in cases.items():
    judge = Tokenizer.from_str(json.dumps(state))
    golden.append({"name": name, "tokenizer": state, "ids": [judge.encode(text, add_special_tokens=False).ids for text in texts]})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.jsonl"), "w") as file:
    for line in golden:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
