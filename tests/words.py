#!/usr/bin/env python3
"""Counts words that the documentation avoids, in comments, string literals and Markdown.

    python3 tests/words.py                     words and how often they appear
    python3 tests/words.py --files             files and how many such words they have
    python3 tests/words.py src/layer README.md the lines, in these files and folders
"""

import re
import sys
from pathlib import Path

# Pattern, and what to write instead.
WORDS = [
    (r"octets?", "byte (grammar names such as cookie-octet stay)"),
    (r"somebody|whoever|anybody|everybody|nobody('s)?", "the user, the client, the caller, the request; all users; no user"),
    (r"strangers?", "unauthenticated client, attacker"),
    (r"people|a person|the person", "users, the user, a browser"),
    (r"told|telling|tells?", "returns, reports, indicates, is logged"),
    (r"asks?|asked|asking", "calls, queries, checks, requests"),
    (r"taken? down|takes? down", "records"),
    (r"believed", "trusted"),
    (r"one's own|ones own", "your own, custom"),
    (r"ours|theirs", "this crate's, this server's, the other server's"),
    (r"time is over|is over|are over", "has expired, has ended"),
    (r"worth", "grants, the grant"),
    (r"(let|lets|letting) in|come in|comes in|turned away", "accept, reject"),
    (r"let(s)? through|let(s)? pass", "allow"),
    (r"gates?", "the layer, the middleware"),
    (r"rooms?|floors?|doors?", "module, capacity, minimum, endpoint"),
    (r"visit(s|or|ors)?", "request, client"),
    (r"verdicts?", "result, decision"),
    (r"judged?", "checked, validated"),
    (r"anew", "again, re-"),
    (r"blanks?", "space, whitespace"),
    (r"small letters", "lowercase"),
    (r"faults?", "error"),
    (r"thie(f|ves)", "attacker"),
    (r"look-ups?", "lookup"),
    (r"under way", "in progress, pending"),
    (r"lest|many a|for ever|hardly ever|dear(er)?|be it", "so that ... not; many; forever; rarely; expensive; whether"),
    (r"put together", "built"),
    (r"proven|burns?|burned|heals?|healed|sealed", "validated, consumes, re-issues, encrypted"),
    (r"in (the )?place of", "instead of"),
    (r"besides?", "next to, in addition to"),
    (r"is felt|is good|are good|no longer good|good for", "takes effect, is valid"),
    (r"so (many|long|often)", "at most, maximum"),
    (r"knocks?|knocking", "connects, sends requests"),
    (r"knows? of|known of", "metadata, information"),
]
# Right uses, which are not counted.
ALLOWED = [
    r"cookie-octet",  # the grammar of RFC 6265bis
    r"application/octet-stream",  # a media type
    r"\w*Door\w*|door\.(Door|proto)|/Knock",  # the service of the gRPC example, whose subject is a door
    r"\"verdicts?\"",  # a key of the test vectors
    r"\b(page|memory) faults?",  # of virtual memory
    r"\bcomes? in (?!by)|\bthe place of the\b",  # "comes in one piece"; a position
    r"^\| `[A-Za-z]+` \| .*",  # the old names in the table of migrating.md
]
ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ["src", "tests", "examples", "benches"]
SELF = Path(__file__).resolve()


def texts(path):
    """The lines of a file that people read, with their numbers."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if path.suffix == ".md":
            yield number, line
        else:
            comment = re.search(r"(?<!:)//.*", line)
            strings = re.findall(r'"(?:[^"\\]|\\.)*"', line[: comment.start()] if comment else line)
            yield number, " ".join([*strings, comment.group() if comment else ""])


def files(arguments):
    for start in [ROOT / name for name in arguments]:
        found = [start] if start.is_file() else start.rglob("*")
        for path in sorted(found):
            skipped = {"node_modules", "target", "seeds"} & set(path.parts) or ROOT / "tests/vectors" in path.parents
            if path.suffix in {".rs", ".md"} and not skipped and path.resolve() != SELF:
                yield path


def main(arguments):
    by_file = "--files" in arguments
    paths = [name for name in arguments if not name.startswith("--")]
    whole = re.compile("|".join(rf"(?P<w{i}>\b(?:{word})\b)" for i, (word, _) in enumerate(WORDS)), re.IGNORECASE)
    allowed = re.compile("|".join(ALLOWED))
    counts, totals = {}, {}
    for path in files(paths or [*FOLDERS, "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]):
        for number, text in texts(path):
            for match in whole.finditer(allowed.sub("", text)):
                counts[match.lastgroup] = counts.get(match.lastgroup, 0) + 1
                totals[path] = totals.get(path, 0) + 1
                if paths and not by_file:
                    print(f"{path.relative_to(ROOT)}:{number}: {match.group()}: {text.strip()[:150]}")
    if by_file:
        for path, total in sorted(totals.items(), key=lambda item: -item[1]):
            print(f"{total:5} {path.relative_to(ROOT)}")
    elif not paths:
        for i, (word, instead) in enumerate(WORDS):
            print(f"{counts.get(f'w{i}', 0):5}  {word}  ->  {instead}")
    print(f"{sum(totals.values()):5}  in {len(totals)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
