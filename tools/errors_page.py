"""docs/errors.md: the mistakes of tests/messages/mistakes.py, with PyTorch's message beside danlu's in both languages.

python tools/errors_page.py           # compares the page with what danlu says today
python tools/errors_page.py --write   # writes it anew; PyTorch's part by running real PyTorch (the extra [oracle])
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "messages")]

from mistake import Mistake, Outcome, run  # noqa: E402
from mistakes import MISTAKES, THEMES  # noqa: E402

import danlu  # noqa: E402

HEAD = """\
# Mistakes, and what danlu says of them

{count} mistakes that learners make, as forums, courses and issue trackers know them (pytorch/pytorch #39, #46763, #56542 and #135463, for
example), each with the message of PyTorch 2.13 and danlu's in both
languages (`DANLU_LANG=zh` or `en`; `danlu.set_language`). `# ←` marks the line that danlu blames: the last line of the learner's in the
traceback, the line of the warning or, where only the data is wrong and it shows when a value is read, the line named in the message.
What danlu raises is caught by the `except` that catches PyTorch's; the exceptions to that are listed in `tests/messages/test_mistakes.py`.

The table is `tests/messages/mistakes.py`; this page is made by `python tools/errors_page.py --write`, and a test compares them. Before each
snippet stand `import danlu`, `from danlu import nn`, `from danlu.nn import functional as F` and the like; PyTorch ran the same code with `torch` in
place of `danlu`.
"""
NOTHING = "says nothing"
LONGEST = 400  # characters of a message of PyTorch's


def say(outcome: Outcome) -> str:
    """One message as it stands on the page: class and text, or what was printed."""
    if outcome.kind == "result":
        printed = " ".join(outcome.printed.split())
        return f"{NOTHING}, prints {printed}" if printed else NOTHING
    return f"{outcome.kind}: {outcome.text}"


def said_by(library: str, language: str = "en") -> dict[str, str]:
    """Mistake → what a library says of it."""
    found = {}
    danlu.set_language(language)
    try:
        for mistake in MISTAKES:
            if library == "torch" and mistake.torch is None:
                found[mistake.name] = "has no counterpart"
                continue
            with tempfile.TemporaryDirectory() as folder:
                found[mistake.name] = say(run(mistake, library, Path(folder)))
    finally:
        danlu.set_language("en")
    return found


def shorter(text: str) -> str:
    """PyTorch's message: numbers of this process left out, the beginning only where it is long."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    text = re.sub(r"\{('[^{}]*')\}", lambda m: "{" + ", ".join(sorted(m[1].split(", "))) + "}", text)  # a set has no order
    text = re.sub(r"\n\s*File \"(?!\w+\.py\").*|\n.*\(Triggered internally.*", "", text)
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def block(mistake: Mistake, said: tuple[str, str, str]) -> str:
    """One mistake on the page."""
    lines = mistake.code.splitlines()
    lines[mistake.line - 1] += "  # ←"
    rows = zip(("PyTorch", "danlu", "danlu, zh"), said)
    told = "\n".join(f"{who}: {text}" for who, text in rows)
    return f"### {mistake.name.replace('_', ' ')}\n\n```python\n" + "\n".join(lines) + f"\n```\n\n```text\n{told}\n```\n"


def page(torch: dict[str, str]) -> str:
    """The whole page, with what PyTorch says given."""
    english, chinese = said_by("danlu"), said_by("danlu", "zh")
    parts = [HEAD.format(count=len(MISTAKES))]
    for theme, mistakes in THEMES.items():
        parts.append(f"## {theme}\n")
        parts += [block(m, (torch.get(m.name, NOTHING), english[m.name], chinese[m.name])) for m in mistakes]
    return "\n".join(parts)


def torch_on_page(text: str) -> dict[str, str]:
    """Mistake → PyTorch's part of a page."""
    found = re.findall(r"^### (.+?)$.*?^```text\nPyTorch: (.*?)\ndanlu: ", text, re.MULTILINE | re.DOTALL)
    return {name.replace(" ", "_"): said for name, said in found}


def main() -> int:
    """Writes the page, or says whether it is true."""
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page({name: shorter(text) for name, text in said_by("torch").items()}), "utf-8")
        return 0
    text = PAGE.read_text("utf-8")
    same = page(torch_on_page(text)) == text
    print("docs/errors.md says what danlu says" if same else "docs/errors.md is old: python tools/errors_page.py --write")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
