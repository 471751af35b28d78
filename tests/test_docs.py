"""The README and the documentation are true: every example runs, every file they name exists, the pages build.

What runs, page by page, in a folder that holds a copy of `fits/`:

- ```python blocks, in order, in one namespace;
- ```console blocks: each line that starts with `$ pkpd` (other commands are for the reader alone);
- ```toml blocks that start with `title` and have [dynamics]: each must be a model without a finding.

A page whose first line is `<!-- slow -->` runs with `-m slow`. A block after `<!-- not run: why -->` is only read.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BUILT = ("_build",)
FENCE = re.compile(
    r"(?:<!-- (?P<skip>not run: [^>]+) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page, with the line where its text begins."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Return every Markdown page that a reader is shown."""
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("fits/*/README.md")]
    return sorted(path for path in found if not set(BUILT) & set(path.parts))


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that run."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(language=m["language"], text=m["text"], line=text.count("\n", 0, m.start("text")) + 1)
        for m in FENCE.finditer(text)
        if not m["skip"]
    ]


def with_examples() -> list:
    """Return the pages with something to run, the slow ones marked."""
    found = []
    for page in pages():
        if any(runs(block) for block in blocks(page)):
            slow = page.read_text(encoding="utf-8").startswith("<!-- slow -->")
            name = page.relative_to(REPOSITORY).as_posix()
            found.append(pytest.param(page, id=name, marks=[pytest.mark.slow] if slow else []))
    return found


def commands(block: Block) -> list[str]:
    """Return the `pkpd` command lines of a console block, lines joined where one ends in a backslash."""
    joined = block.text.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ pkpd")]


def runs(block: Block) -> bool:
    """Tell whether a block is one that this file runs."""
    if block.language == "console":
        return bool(commands(block))
    is_model = block.language == "toml" and block.text.startswith("title") and "\n[dynamics]\n" in block.text
    return block.language == "python" or is_model


@pytest.mark.parametrize("page", with_examples())
def test_examples_run(page, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    import pkpd

    if (REPOSITORY / "fits").is_dir():
        shutil.copytree(REPOSITORY / "fits", tmp_path / "fits")
    # the README of a fit speaks from its own folder, every other page from the top of the repository
    folder = tmp_path / page.parent.relative_to(REPOSITORY) if "fits" in page.parts else tmp_path
    monkeypatch.chdir(folder)
    namespace: dict = {"__name__": "example"}
    for block in blocks(page):
        if block.language == "python":
            # The page's own line numbers, so that a failure points into the page.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec"), namespace)
        elif block.language == "console":
            for command in commands(block):
                run(command, folder)
        elif runs(block):
            findings = pkpd.Model(block.text, resolve=pkpd.library.read).check()
            assert not findings, f"{page}:{block.line}: {[str(finding) for finding in findings]}"
    plt.close("all")


def run(command: str, folder: Path) -> None:
    """Run one `pkpd` command line as a user would; it must succeed."""
    main = "import sys; from pkpd.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", main, *shlex.split(command, comments=True)[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(p, id=p.relative_to(REPOSITORY).as_posix()) for p in pages()])
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [m["target"].split("#")[0] for m in LINK.finditer(text)]
    local = [target for target in targets if target and not re.match(r"\w+:", target)]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


def test_readme_shows_the_two_commands():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "python -m pip install . && pkpd run fits/ketamine_fatigue\n" in readme
    assert 'python -m pip install -e ".[test]" && python -m pytest\n' in readme
    assert "pkpd-timecourse" in readme


def test_one_version_everywhere():
    import pkpd

    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert pkpd.__version__ == version
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pages_build_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(tmp_path / "trees"), "-b", "html"]
    done = subprocess.run(
        [*command, str(REPOSITORY / "docs"), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "html" / "index.html").is_file()


def test_model_language_page_names_every_key():
    import pkpd

    page = (REPOSITORY / "docs" / "explain" / "model-language.md").read_text(encoding="utf-8")
    # Each table gets a key that does not exist; the messages then list the keys that do.
    text = """
        zz = 1
        [source]\nzz = 1
        [units]\nzz = 1
        [covariates]\nWT = { zz = 1 }
        [constants]\nc = { value = 1, zz = 1 }
        [parameters]\np = { typical = 1, zz = 1 }
        [routes]\nr = { into = "a", zz = 1 }\nq = { inputs = [{ into = "a", zz = 1 }] }
        [states]\na = { zz = 1 }
        [outputs]\na = { zz = 1 }
        [needs]\nb = { zz = 1 }
        [dynamics]\nequations = "d/dt(a) = -p * a"\nzz = 1
        [[omega]]\nzz = 1
        [[checks]]\nzz = 1
        [include]\ni = { zz = 1 }
    """
    with pytest.raises(pkpd.ModelError) as raised:
        pkpd.Model(text)
    lists = [f.expected for f in raised.value.findings if f.code == "unknown-key"]
    assert len(lists) == 15
    keys = {key.strip(" .") for expected in lists for key in expected.removeprefix("Keys:").split(",")}
    unknown = [key for key in sorted(keys) if not re.search(rf"`{key}`|`\[+{key}\]+`", page)]
    assert not unknown


def test_dosing_page_has_true_sentences():
    import pkpd

    page = (REPOSITORY / "docs" / "explain" / "dosing.md").read_text(encoding="utf-8")
    sentences = re.findall(r"^\| `([^`]+)` \| (.+) \|$", page.split("The grammar, in full")[0], flags=re.MULTILINE)
    assert len(sentences) > 8
    for sentence, meaning in sentences:
        if meaning.startswith("refused"):
            with pytest.raises(pkpd.DoseError):
                pkpd.Regimen.read(sentence, "h")
        else:
            assert pkpd.Regimen.read(sentence, "h").count >= 1


def test_pages_on_events_and_solvers_know_the_engines_numbers():
    from pkpd.engine import linear, modes, workspace

    solvers, events = (
        (REPOSITORY / "docs" / "explain" / f"{name}.md").read_text(encoding="utf-8") for name in ("solvers", "events")
    )
    assert f"more than {linear.MOST_PRODUCTS} products" in solvers
    assert f"polynomial of degree {linear.DEGREE}" in solvers
    assert f"more than {workspace.PATIENCE} steps from one event to the next ({workspace.LONG_PATIENCE} beside" in (
        " ".join(solvers.split())
    )
    assert f"up to {workspace.MOST_CYCLES} cycles" in solvers
    assert modes.MOST_LOST == 1e4
    assert "more than 1e4 times" in solvers
    assert f"Up to {workspace.OVERLAP} doses" in events


def test_solvers_page_has_true_errors_of_the_exponential():
    import mpmath

    from tests.truth import test_closed_forms as room

    page = (REPOSITORY / "docs" / "explain" / "solvers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d ]+) h \| (\de-\d+) \| (\S+) \|$", page, flags=re.MULTILINE)
    assert len(rows) == 4
    model, form = room.mammillary_model(room.TWO, 1.0, 10.0, 1.3), room.forms("two")["iv"]
    for hours, error, concentration in rows:
        time = float(hours.replace(" ", ""))
        wanted = float(10 * form.bolus(mpmath.mpf(time)))
        (got,) = room.run(model, room.INPUTS["bolus"][0], [time], "cp", "exact")
        assert abs(got / wanted - 1) < 3 * float(error)
        assert abs(float(concentration) / wanted - 1) < 0.1


def test_parts_from_the_code_are_fresh():
    refresh = runpy.run_path(str(REPOSITORY / "docs" / "refresh.py"))
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    stale = [page.relative_to(REPOSITORY).as_posix() for page, text in texts.items() if refresh["fresh"](text) != text]
    assert not stale, f"{stale}: run `python docs/refresh.py`"
