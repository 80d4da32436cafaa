"""Golden texts of chat templates: `python make.py` (packages `transformers` and `tokenizers`; made with transformers 5.24).

`golden.json` has what `apply_chat_template` writes of each conversation in `conversations.json` with each template: one
template for each way in which current model families build theirs. Where a template can't take a list of content parts,
writes it as a list, or leaves it out, the text is that of the same conversation with the parts' texts joined, marked
"joined".
`snippets.json` has what small templates give with the variables in it: null where Python raises.
"""
import copy, datetime, glob, json, os
import transformers.utils.chat_template_utils as chat
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat.datetime = FixedDate
here = os.path.dirname(os.path.abspath(__file__))
tokens = {
    "inst-system": ("<s>", "</s>"),
    "inst-alternation": ("<s>", "</s>"),
    "headers": ("<|begin_of_text|>", "<|eot_id|>"),
    "turns-model": ("<bos>", "<eos>"),
    "role-tags": (None, "<|endoftext|>"),
    "loop-controls": ("<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"),
    "split-thinking": ("<｜begin｜>", "<｜end｜>"),
}


def write(name, value):
    with open(os.path.join(here, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=True, indent=1)
        file.write("\n")


def joined(messages):
    messages = copy.deepcopy(messages)
    for message in messages:
        if isinstance(message.get("content"), list):
            message["content"] = "".join(part["text"] for part in message["content"])
    return messages


def parts(messages):
    return [part["text"].strip() for m in messages if isinstance(m.get("content"), list) for part in m["content"]]


conversations = json.load(open(os.path.join(here, "conversations.json"), encoding="utf-8"))
golden = {}
for path in sorted(glob.glob(os.path.join(here, "templates", "*.jinja"))):
    family = os.path.splitext(os.path.basename(path))[0]
    start, end = tokens.get(family, (None, "<|im_end|>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=start, eos_token=end)
    tokenizer.chat_template = open(path, encoding="utf-8", newline="").read()

    def render(messages, tools):
        try:
            return {"text": tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    texts = {}
    for name, conversation in conversations.items():
        messages, tools = conversation["messages"], conversation.get("tools")
        result = render(messages, tools)
        written = result.get("text", "")
        if parts(messages) and ("[{'type'" in written or any(part not in written for part in parts(messages))):
            result = {**render(joined(messages), tools), "joined": True}
        texts[name] = result
    golden[family] = {"roleTokens": {k: v for k, v in (("bos_token", start), ("eos_token", end)) if v}, "texts": texts}
write("golden.json", golden)

snippets = json.load(open(os.path.join(here, "snippets.json"), encoding="utf-8"))
cases = []
for template, *_ in snippets["cases"]:
    try:
        cases.append([template, chat._compile_jinja_template(template).render(**snippets["variables"])])
    except Exception:
        cases.append([template, None])
write("snippets.json", {"variables": snippets["variables"], "cases": cases})
