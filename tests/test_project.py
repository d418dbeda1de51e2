"""What holds for the project as a whole: one list of packages, one version, one direction of imports, short functions.

Docstrings, types and the length of lines are left to ruff and mypy.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
import yaml

import mnist_helpers
from mnist_helpers import diagrams, plots

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mnist_helpers"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__" and "jupyter" not in path.parts
}
TREES = {name: ast.parse(source) for name, source in MODULES.items()}
MAY_IMPORT = {
    "alt_text": set(),
    "checks": set(),
    "classroom": {"files"},
    "files": set(),
    "data": {"checks", "files"},
    "model": {"checks"},
    "quick": set(),
    "recording": {"model"},
    "training": {"checks", "quick", "recording"},
    "predictions": {"checks", "data", "training"},
    "runs": {"checks", "data", "files", "model", "training"},
    "plots": {"alt_text", "checks", "predictions", "training"},
    "diagrams": {"alt_text", "plots"},
    "live": {"data", "model", "quick", "training"},
    "exercises.progress": {"exercises.checking", "files", "runs"},
    "exercises.checking": {"exercises.progress"},
    "labs.ledger": {"files", "predictions"},
    "labs.own_digits": {"files"},
    "labs.kept_drawings": {"checks", "files", "labs.own_digits", "runs"},
    "labs.clinic": {"data", "files", "runs", "training"},
    "labs.broken": {"data", "live", "model", "quick", "training"},
    "labs.confidence": {"predictions"},
    "labs.networks": {"model"},
    "labs.data_parallel": {"checks", "data", "files", "labs.networks", "quick", "training"},
    "labs.scaling": {"labs.data_parallel", "labs.networks", "quick", "training"},
    "labs.sweep.grid": set(),
    "labs.sweep.work": {
        "data",
        "files",
        "labs.ledger",
        "labs.networks",
        "labs.sweep.grid",
        "predictions",
        "quick",
        "runs",
        "training",
    },
    "labs.sweep.__main__": {"labs.ledger", "labs.sweep.grid", "labs.sweep.work", "runs"},
    "widgets.panel": {"plots"},
    "widgets.descent": {"plots", "widgets.panel"},
    "widgets.images": {"checks", "plots", "predictions", "widgets.panel"},
    "widgets.network": {"checks", "model", "plots", "training", "widgets.panel"},
    "widgets.training": {"data", "live", "plots", "training", "widgets.panel"},
    "widgets.ledger": {"data", "labs.ledger", "live", "plots", "predictions", "widgets.panel"},
    "widgets.clinic": {
        "data",
        "labs.clinic",
        "labs.kept_drawings",
        "labs.own_digits",
        "live",
        "model",
        "plots",
        "predictions",
        "training",
        "widgets.panel",
    },
    "widgets.case": {"labs.broken", "plots", "widgets.panel"},
    "widgets.scaling": {"labs.scaling", "widgets.panel"},
    "widgets.pad": {"labs.own_digits", "plots", "predictions", "widgets.panel"},
}
MAY_IMPORT |= {name: {"exercises.checking"} for name in MODULES if name.startswith("exercises.lesson_")}
MAY_IMPORT["exercises.comparing"] = {"exercises.checking"}
for LESSON in ("04", "05", "06", "07", "08", "09"):
    MAY_IMPORT[f"exercises.lesson_{LESSON}"] = {"exercises.checking", "exercises.comparing"}
MAY_IMPORT["exercises.lesson_06"] |= {"labs.ledger"}
MAY_IMPORT["exercises.lesson_07"] |= {"labs.clinic"}
LESSONS_1_TO_5 = ("data", "model", "training", "runs", "predictions", "plots")
NOT_FOR_LESSONS = {"benchmarks", "dev"}
ON_PYPI = {"pytorch": "torch", "jupyterlab_rise": "jupyterlab-rise", "playwright-python": "playwright"}
WIDGETS = {name for name in MODULES if name.startswith("widgets.")}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
EACH_MODULE = pytest.mark.parametrize("module", TREES)


# ---------------------------------------------------------------- the lists of packages


def requirements(lines):
    """The requirement lines as {name: bounds}."""
    return {re.match(r"[\w.-]+", line)[0].lower(): re.sub(r"^[\w.-]+", "", line).strip() for line in lines}


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def declared(pyproject):
    """All packages of pyproject.toml but those NOT_FOR_LESSONS; extras that name other extras add nothing."""
    extras = [lines for extra, lines in pyproject["optional-dependencies"].items() if extra not in NOT_FOR_LESSONS]
    lines = sum(extras, pyproject["dependencies"])
    return requirements(line for line in lines if not line.startswith("mnist-helpers["))


@pytest.fixture(scope="module")
def conda():
    """The packages of environment.yml, under pip's names."""
    lines = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    with_pip = [line for part in lines if isinstance(part, dict) for line in part["pip"] if not line.startswith("-e")]
    packages = requirements([*with_pip, *(line for line in lines if isinstance(line, str))])
    for name, on_pypi in ON_PYPI.items():
        packages[on_pypi] = packages.pop(name)
    return packages


def test_requirements_txt_holds_the_packages_of_pyproject(declared):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements(line for line in lines if line.strip() and line[0] not in "#-") == declared


def test_requirements_txt_installs_the_package_itself():
    assert "-e ." in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


def test_environment_yml_holds_the_packages_of_pyproject(declared, conda):
    assert {name: bounds for name, bounds in conda.items() if name not in ("python", "pip")} == declared


def test_environment_yml_asks_for_the_python_of_pyproject(pyproject, conda):
    assert conda["python"] == pyproject["requires-python"]


@EACH_MODULE
def test_what_a_module_imports_is_declared(declared, module):
    known = {"sklearn": "scikit-learn", "PIL": "pillow"}
    names = {known.get(name, name).lower() for name in imported(module)}
    others = names - set(sys.stdlib_module_names) - {"mnist_helpers"}
    assert others <= set(declared)


def test_the_ledger_is_not_ignored_and_so_goes_into_the_package():
    for name in ("runs", "epochs"):  # hatchling packs what lies in the folder, without what git ignores
        ledger = f"mnist_helpers/assets/ledger/{name}.csv.gz"
        assert (ROOT / ledger).is_file()
        assert subprocess.run(["git", "check-ignore", "--no-index", "-q", ledger], cwd=ROOT).returncode != 0


# ---------------------------------------------------------------- versions


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def newest_release():
    """(version, date) of the first release in CHANGELOG.md, after what is not released yet."""
    return re.search(r"(?m)^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")).groups()


def test_changelog_citation_and_package_have_one_version(citation):
    assert newest_release()[0] == citation["version"] == mnist_helpers.__version__


def test_changelog_and_citation_have_one_date(citation):
    assert newest_release()[1] == str(citation["date-released"])


def test_pre_commit_runs_the_ruff_of_the_extra_dev(pyproject):
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (revision,) = [entry["rev"] for entry in repositories if entry["repo"].endswith("/ruff-pre-commit")]
    assert f"ruff=={revision.removeprefix('v')}" in pyproject["optional-dependencies"]["dev"]


# ---------------------------------------------------------------- imports


def imported(module):
    """The top-level packages that the module imports, within functions too."""
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("mnist_helpers" if node.level else node.module.partition(".")[0])
    return names


def siblings(module):
    """The modules of the package that the module imports, within functions too."""
    nodes = list(ast.walk(TREES[module]))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "an import that is relative"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("mnist_helpers.") for name in names if name.startswith("mnist_helpers.")} & set(MODULES)


@EACH_MODULE
def test_a_module_imports_only_the_siblings_below_it(module):
    assert siblings(module) == MAY_IMPORT[module]


@pytest.mark.parametrize(
    "package, users",
    [
        ("matplotlib", {"alt_text", "plots", "diagrams", *WIDGETS}),
        ("ipywidgets", WIDGETS),
        ("ipycanvas", {"widgets.pad"}),
        ("joblib", {"labs.clinic", "labs.sweep.work"}),
        ("distributed", {"labs.sweep.work"}),
    ],
)
def test_drawing_widgets_and_parallel_work_are_imported_in_their_modules_only(package, users):
    assert {module for module in MODULES if package in imported(module)} <= users


def loaded_by(statement):
    """The top-level packages that are there after this statement in a new process."""
    code = f"import sys; {statement}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_that_takes_long_but_torch():
    """What draws, computes statistics, reads images or makes widgets comes when it is used."""
    loaded = loaded_by("import mnist_helpers")
    assert {"mnist_helpers", "torch"} <= loaded
    assert not loaded & {"ipywidgets", "ipycanvas", "jupyterlab", "notebook", "IPython", "distributed", "joblib"}
    assert not loaded & {"matplotlib", "pandas", "scipy", "sklearn", "torchvision", "mlxtend"}


def test_drawing_loads_neither_scikit_learn_nor_scipy():
    loaded = loaded_by("from mnist_helpers import plot_digits")
    assert "matplotlib" in loaded and not loaded & {"scipy", "sklearn", "torchvision"}


def test_the_functions_that_draw_are_offered_like_all_others():
    for module in (plots, diagrams):
        offered = [name for name, value in vars(module).items() if name.startswith("plot_")]
        assert set(offered) <= set(dir(mnist_helpers)) & set(mnist_helpers.__all__)
        assert all(getattr(mnist_helpers, name) is getattr(module, name) for name in offered)
    with pytest.raises(ImportError, match="plot_nothing"):
        from mnist_helpers import plot_nothing  # noqa: F401


# ---------------------------------------------------------------- functions


def functions_of(tree):
    """All functions and methods, nested ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]


def code_lines(function, source):
    """The number of lines of the function's body that hold code: no docstring, no comment, no blank line."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines & set(range(body[0].lineno, function.end_lineno + 1)))


def test_code_lines_counts_neither_docstring_nor_comment_nor_blank_line():
    lines = ["def f(", "    a,", "):", '    """One.', "", '    Two."""', "    # why"]
    source = "\n".join([*lines, "    x = [", "        1,  # one", "    ]", "", "    return x", ""])
    assert code_lines(ast.parse(source).body[0], source) == 4


@EACH_MODULE
def test_no_function_has_more_than_25_lines_of_code(module):
    lengths = {function.name: code_lines(function, MODULES[module]) for function in functions_of(TREES[module])}
    assert {name: length for name, length in lengths.items() if length > 25} == {}


def code_and_text(source):
    """The number of lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def test_the_part_for_lessons_1_to_5_is_read_in_half_an_hour():
    assert sum(code_and_text(MODULES[name]) for name in LESSONS_1_TO_5) < 1000


@EACH_MODULE
def test_no_module_has_more_than_350_lines(module):
    assert len(MODULES[module].splitlines()) <= 350


def test_each_line_of_the_readme_s_table_of_faults_names_a_test():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## What happens when something goes wrong")[2].partition("\n## ")[0]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = [re.fullmatch(r"`(test_\w+)` \|", line[2])[1] for line in lines]
    assert len(named) == len(set(named)) > 15 and [name for name in named if f"def {name}(" not in tests] == []
