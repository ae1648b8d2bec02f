"""The house rules that no linter knows: sizes, banned calls with their replacement, names, docstrings.

Each rule reads one module and yields ``(line, sentence)``. `EXCEPTIONS` lists where a rule does not hold, and why.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("pytest_finchaos", "tests", "experiments", "benchmarks", "scripts")
MODULE_LINES = 400
FUNCTION_LINES = 60
DOCUMENTED = ("model", "runtime", "slo", "drill", "faults", "environments")
Found = Iterator[tuple[int, str]]

CLOCK = {
    "time.sleep": "Clock.sleep_s, or waiting.wait_for with a deadline",
    "time.time": "clock.now_utc or clock.anchor",
    "time.time_ns": "clock.anchor",
    "time.monotonic": "Clock.now_ns",
    "time.monotonic_ns": "Clock.now_ns",
    "time.perf_counter": "Clock.now_ns",
    "time.perf_counter_ns": "Clock.now_ns",
    "datetime.datetime.now": "clock.now_utc",
    "datetime.datetime.utcnow": "clock.now_utc",
    "datetime.datetime.today": "clock.now_utc",
    "datetime.date.today": "clock.now_utc",
}
ENVIRON_WRITES = {f"os.environ.{name}" for name in ("update", "setdefault", "pop", "popitem", "clear")} | {
    "os.putenv",
    "os.unsetenv",
}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
MONEY = re.compile(r"amount|balance|minor")
UNITS = re.compile(r"_(ms|s|ns|ratio|share|count|index|operation)$")
UNITLESS = re.compile(r"(^|_)(timeout|latency|duration|interval|delay|jitter|deadline|elapsed)$")
REFERENCE_SYSTEM = re.compile(
    r"payments\.(gateway|fraud|settlement)\b|finchaos[./]payments\b|\bledger-db\b|PAYMENTS_[A-Z]+"
)


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file, parsed, with what its imported names stand for."""

    path: str
    text: str
    tree: ast.Module
    imported: dict[str, str]

    @classmethod
    def parse(cls, path: str, text: str) -> Module:
        """Parse `text`; `path` is relative to the checkout, with slashes."""
        tree = ast.parse(text, path)
        imported = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    imported[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return cls(path, text, tree, imported)

    def dotted(self, node: ast.AST) -> str:
        """``time.sleep`` for a name that stands for it, whatever it is called here; "" when it is no dotted name."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self.dotted(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Every call with the dotted name of what is called."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)


def module_length(module: Module) -> Found:
    lines = module.text.count("\n")
    if lines > MODULE_LINES:
        yield 1, f"{lines} lines, at most {MODULE_LINES}: split it, one idea a file"


def function_length(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name}: {lines} lines, at most {FUNCTION_LINES}: take a step out and name it"


def clock(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and (name := module.dotted(node)) in CLOCK:
            yield node.lineno, f"{name}: use {CLOCK[name]} of runtime, so that tests can hold the clock"


def printing(module: Module) -> Found:
    for call, name in module.calls():
        if name == "print":
            yield call.lineno, "print: return text, or write it through pytest's terminal reporter"


def environ_write(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Subscript) or isinstance(node.ctx, ast.Load):
            continue
        if module.dotted(node.value) == "os.environ":
            yield node.lineno, "os.environ is changed: pass env= to the child, or monkeypatch.setenv in a test"
    for call, name in module.calls():
        if name in ENVIRON_WRITES:
            yield call.lineno, f"{name}: pass env= to the child, or monkeypatch.setenv in a test"


def shell(module: Module) -> Found:
    for call, name in module.calls():
        through_shell = any(
            word.arg == "shell" and isinstance(word.value, ast.Constant) and word.value.value for word in call.keywords
        )
        if through_shell or name in SHELLS:
            yield call.lineno, f"{name}: a shell reads the words again: pass a list of arguments"


def broad_except(module: Module) -> Found:
    lines = module.text.splitlines()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield node.lineno, "bare except: name what may be caught"
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if not {module.dotted(item) for item in caught} & {"Exception", "BaseException"}:
            continue
        if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
            continue  # cleans up and passes it on
        comment = re.sub(r"noqa(: *[A-Z]+\d+(, *[A-Z]+\d+)*)?", "", lines[node.lineno - 1].partition("#")[2])
        if len(re.findall(r"\w+", comment)) < 2:
            yield node.lineno, "except Exception without the reason in a comment on the line: catch narrow, or say why"


def money_float(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and module.dotted(node.func) == "float" and any(map(_is_money, node.args)):
            yield node.lineno, "float() of money: keep integer minor units"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_money(node.left):
            yield node.lineno, "money divided by /: use // or divmod, integer minor units stay whole"
        elif isinstance(node, ast.arg | ast.AnnAssign) and isinstance(node.annotation, ast.Name):
            name = node.arg if isinstance(node, ast.arg) else module.dotted(node.target)
            if node.annotation.id == "float" and _money_name(name):
                yield node.lineno, f"{name}: float for money: use int minor units"


def _is_money(node: ast.AST) -> bool:
    names: list[str] = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            names.append(part.id)
        elif isinstance(part, ast.Attribute):
            names.append(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            names.append(part.value)
    return any(map(_money_name, names))


def _money_name(name: str) -> bool:
    return bool(MONEY.search(name.lower())) and not UNITS.search(name)


def seeded_random(module: Module) -> Found:
    for call, name in module.calls():
        for prefix in ("random.", "numpy.random."):
            rest = name.removeprefix(prefix)
            if rest == name or "." in rest:
                continue
            if rest in ("Random", "default_rng"):
                if not call.args and not call.keywords:
                    yield call.lineno, f"{name}() without a seed: nobody can replay it"
            elif rest[0].islower():
                yield call.lineno, f"{name}: shared and unseeded: use random.Random(seed)"


def docstrings(module: Module) -> Found:
    parts = module.path.split("/")
    if parts[0] != "pytest_finchaos" or len(parts) < 3 or parts[1] not in DOCUMENTED:
        return
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not node.name.startswith("_") and node.name != "main" and not ast.get_docstring(node):
            yield node.lineno, f"{node.name}: public, without a docstring: say what it means"


def units(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            name = node.arg if isinstance(node, ast.arg) else module.dotted(node.target)
            number = re.fullmatch(r"(int|float)( \| None)?", ast.unparse(node.annotation))
            if number and UNITLESS.search(name):
                yield node.lineno, f"{name}: a number without its unit: put it last, e.g. {name}_s"


RULES: dict[str, Callable[[Module], Found]] = {
    "module-length": module_length,
    "function-length": function_length,
    "clock": clock,
    "print": printing,
    "environ-write": environ_write,
    "shell": shell,
    "broad-except": broad_except,
    "money-float": money_float,
    "seeded-random": seeded_random,
    "docstrings": docstrings,
    "units": units,
}

# (rule, path pattern, reason); a pattern that matches no file is a violation of its own.
EXCEPTIONS: tuple[tuple[str, str, str], ...] = (
    ("clock", "pytest_finchaos/runtime/clock.py", "the one module that reads time and sleeps"),
    ("clock", "pytest_finchaos/load/driver*.py", "runs under gevent, with the clock that gevent's loop uses"),
    ("clock", "pytest_finchaos/payments/*", "a system under test of its own, which knows nothing of the harness"),
    ("clock", "benchmarks/*", "a benchmark measures with the finest clock there is"),
    ("clock", "scripts/*", "run before the package is installed"),
    ("clock", "tests/systems/*", "small systems under test, which know nothing of the harness"),
    ("print", "scripts/*", "commands for a person at a terminal"),
    ("print", "pytest_finchaos/cli/*", "commands for a person at a terminal"),
    ("print", "benchmarks/*", "figures for a person at a terminal"),
    ("print", "pytest_finchaos/payments/*", "servers that log to their standard output"),
    ("print", "tests/systems/*", "servers that log to their standard output"),
)


def excused(rule: str, path: str) -> bool:
    """True when `EXCEPTIONS` frees `path` from `rule`."""
    return any(rule == name and fnmatch.fnmatch(path, pattern) for name, pattern, _ in EXCEPTIONS)


def check_module(path: str, text: str) -> list[str]:
    """All violations of one file, as ``path:line: rule: sentence``."""
    module = Module.parse(path, text)
    return [
        f"{path}:{line}: {name}: {sentence}"
        for name, rule in RULES.items()
        if not excused(name, path)
        for line, sentence in rule(module)
    ]


def reference_names(path: str, text: str) -> list[str]:
    """Places in the product's files that name the reference payment system."""
    return [
        f"{path}:{number}: reference-system: {found.group()}: only payments/ and the demo may name it"
        for number, line in enumerate(text.splitlines(), 1)
        if (found := REFERENCE_SYSTEM.search(line))
    ]


def uncommented_dependencies(text: str) -> list[str]:
    """Requirements of a pyproject text without a reason beside them; the project's own extras need none."""
    found, inside = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            inside = line in ("[project]", "[project.optional-dependencies]")
        if inside and re.match(r'\s+"(?!pytest-finchaos\[)[A-Za-z]', line) and "#" not in line:
            found.append(f"pyproject.toml:{number}: dependency-reason: {line.strip()}: say why, beside it")
    return found


def unnamed_folders(root: Path) -> list[str]:
    """Folders of the package that ARCHITECTURE.md does not name."""
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = {path.parent for path in (root / "pytest_finchaos").rglob("*.py")} - {root / "pytest_finchaos"}
    names = sorted(folder.relative_to(root / "pytest_finchaos").as_posix() for folder in folders)
    return [
        f"pytest_finchaos/{name}: folders: not named in ARCHITECTURE.md" for name in names if f"`{name}/`" not in text
    ]


def check_tree(root: Path) -> list[str]:
    """All violations of a checkout."""
    found, seen = [], []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            seen.append(name)
            found += check_module(name, path.read_text(encoding="utf-8"))
    for path in sorted((root / "pytest_finchaos").rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and path.suffix != ".pyc" and not name.startswith("pytest_finchaos/payments/"):
            found += reference_names(name, path.read_text(encoding="utf-8", errors="replace"))
    for rule, pattern, _ in EXCEPTIONS:
        if not fnmatch.filter(seen, pattern):
            found.append(f"scripts/tidy.py: exceptions: {rule} for {pattern}: no such file any more")
    found += uncommented_dependencies((root / "pyproject.toml").read_text(encoding="utf-8"))
    return found + unnamed_folders(root)


if __name__ == "__main__":
    problems = check_tree(ROOT)
    print("\n".join(problems) or "tidy")
    sys.exit(bool(problems))
