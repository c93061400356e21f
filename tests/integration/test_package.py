"""What is published: the wheel, the source archive, and what an editable install finds, all from one tree."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

PROJECT = Path(__file__).parents[2]
SCHEMAS = sorted((PROJECT / "schemas").iterdir())
TEMPLATES = sorted((PROJECT / "dagnats" / "cli" / "templates").iterdir())
IN_WHEEL = "dagnats/definition"
PUBLISHED_DIRECTORIES = (".ci", ".github", "action", "dagnats", "schemas", "pipelines", "tests", "bench", "docs")
PUBLISHED_FILES = ("action.yml", ".pre-commit-hooks.yaml", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml")
SHOW_SCHEMA = """\
import sys, dagnats
from dagnats.definition.schema import schema_text
print(dagnats.__file__, file=sys.stderr)
sys.stdout.write(schema_text(sys.argv[1]))
"""


def run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([str(part) for part in argv], cwd=cwd, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive built from this tree, and beside it the wheel that was built from that archive."""
    directory = tmp_path_factory.mktemp("published")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, PROJECT, cwd=directory)
    return directory


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the tree itself."""
    directory = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, PROJECT, cwd=directory)
    return only(directory, "*.whl")


@pytest.fixture(scope="module")
def unpacked(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of somebody who has the source archive and nothing else."""
    directory = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(only(published, "*.tar.gz")) as archive:
        # before 3.11.4 there is no `filter`
        archive.extractall(directory, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return only(directory, "dagnats-*")


def only(directory: Path, pattern: str) -> Path:
    (found,) = directory.glob(pattern)
    return found


def environment(directory: Path, *what: str | Path) -> Path:
    """Install into an environment that sees the dependencies of this one, but nothing before its own packages."""
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    own = (
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=directory)
        .stdout.decode()
        .strip()
    )
    (Path(own) / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *flags, *what, cwd=directory)
    return directory / "bin"


def files_of(tree: Path) -> set[str]:
    """What is published of a tree, without what running it leaves behind."""
    found = {file for name in PUBLISHED_DIRECTORIES for file in (tree / name).rglob("*") if file.is_file()}
    return {
        str(file.relative_to(tree))
        for file in found
        if file.suffix != ".pyc" and ".dagnats" not in file.relative_to(tree).parts
    }


@pytest.mark.parametrize("source", ["tree", "archive"])
def test_a_wheel_holds_the_package_its_templates_and_the_schemas_and_nothing_else(
    source: str, wheel: Path, published: Path
) -> None:
    with zipfile.ZipFile(wheel if source == "tree" else only(published, "*.whl")) as archive:
        names = set(archive.namelist())
        for schema in SCHEMAS:
            assert archive.read(f"{IN_WHEEL}/{schema.name}") == schema.read_bytes()
    package = {
        str(file.relative_to(PROJECT))
        for file in (PROJECT / "dagnats").rglob("*")
        if file.suffix in {".py", ".typed", ".yaml"}
    }
    package |= {f"{IN_WHEEL}/{schema.name}" for schema in SCHEMAS}
    assert {name for name in names if PurePosixPath(name).parts[0] == "dagnats"} == package
    assert {PurePosixPath(name).parts[0] for name in names} == {
        "dagnats",
        PurePosixPath(wheel.stem).name.split("-py3")[0] + ".dist-info",
    }


def test_the_source_archive_holds_all_that_a_checkout_has(unpacked: Path) -> None:
    assert files_of(unpacked) == files_of(PROJECT)
    for name in PUBLISHED_FILES:
        assert (unpacked / name).read_bytes() == (PROJECT / name).read_bytes()
    for schema in SCHEMAS:
        assert (unpacked / "schemas" / schema.name).read_bytes() == schema.read_bytes()


def test_the_source_archive_can_run_the_commands_of_the_readme(unpacked: Path, tmp_path: Path) -> None:
    programs = environment(tmp_path / "environment", unpacked)
    printed = run(programs / "dagnats", "run", "pipelines/hello.yaml", cwd=unpacked).stdout
    assert b"hello, world" in printed
    collected = run(
        programs / "python",
        "-m",
        "pytest",
        "--collect-only",
        "--snapshot-warn-unused",
        "--quiet",
        "tests",
        cwd=unpacked,
    ).stdout
    assert b"tests/integration/test_package.py::" in collected


@pytest.mark.parametrize("source", ["wheel", "wheel of the archive", "editable"])
def test_an_install_finds_each_schema_once_and_the_templates(
    source: str, wheel: Path, published: Path, tmp_path: Path
) -> None:
    what = {"wheel": [wheel], "wheel of the archive": [only(published, "*.whl")], "editable": ["--editable", PROJECT]}
    programs = environment(tmp_path / "environment", *what[source])
    assert run(programs / "dagnats", "--version", cwd=tmp_path).stdout.startswith(b"dagnats")
    for schema in SCHEMAS:
        shown = run(programs / "python", "-c", SHOW_SCHEMA, schema.name, cwd=tmp_path)
        assert shown.stdout == schema.read_bytes()
    for template in TEMPLATES:
        run(programs / "dagnats", "init", "--template", template.stem, template.name, cwd=tmp_path)
        assert (tmp_path / template.name).read_bytes() == template.read_bytes()
    at_home = PROJECT if source == "editable" else tmp_path
    assert Path(shown.stderr.decode().strip()).is_relative_to(at_home)
    copies = sorted(file.name for file in (tmp_path / "environment").rglob("*.schema.json") if "dagnats" in file.parts)
    assert copies == ([] if source == "editable" else [schema.name for schema in SCHEMAS])
