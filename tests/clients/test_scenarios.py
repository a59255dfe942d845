"""What the suites of clients stand on: environments that are made once, and scenarios whose failures are seen."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios
from tests.cloud_process import CloudProcess

TRICKS = ("endpoint_url", "AWS_", "127.0.0.1", "localhost", "sagehound", "mock", "sys.modules", "setattr")
SAYS_WHAT_IS_MISSING = "sagehound weights add"
"""What the reason of a failure names is no trick."""


def checkout(folder: Path, packages: str) -> Path:
    """A folder with one list of packages, `some`."""
    (folder / "constraints").mkdir(exist_ok=True)
    (folder / "constraints" / "some.txt").write_text(packages)
    return folder


def test_an_environment_is_made_once_and_anew_when_its_list_changes(tmp_path: Path) -> None:
    """Two workers that ask at the same time get the same one."""
    folder = checkout(tmp_path, "# nothing\n")
    with ThreadPoolExecutor(2) as workers:
        first, second = workers.map(lambda _: environment("some", folder), range(2))
    assert first == second
    where = subprocess.run([first, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()) == first.parents[1]
    kept = first.parents[1] / "kept"
    kept.touch()
    assert environment("some", folder) == first
    assert kept.exists()
    assert environment("some", checkout(tmp_path, "# nothing else\n")) != first


def test_packages_that_cannot_be_had_skip_the_test_with_the_reason(tmp_path: Path) -> None:
    """Once more at the next time: an environment that is not complete is none."""
    folder = checkout(tmp_path, f"nothing @ file://{tmp_path}/nothing-1-py3-none-any.whl\n")
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match=r"(?s)packages cannot be had here.*nothing-1-py3"):
            environment("some", folder)


def test_no_scenario_of_the_sdks_knows_where_it_runs() -> None:
    """What is here runs in an account as well: nothing in it names an address, a key or this product."""
    place = Path(__file__).parent
    texts = [path for suite in ("v2", "v3", "scripts", "notebook") for path in place.glob(f"{suite}/*/**/*.py")]
    texts += place.glob("notebook/*.ipynb")
    assert len(texts) > 60
    found = {
        (path.relative_to(place), trick)
        for path in texts
        for trick in TRICKS
        if trick in path.read_text().replace(SAYS_WHAT_IS_MISSING, "")
    }
    assert not found


def test_a_scenario_that_fails_shows_what_it_said(cloud: CloudProcess, tmp_path: Path) -> None:
    """And one that ends well does not hide it."""
    (tmp_path / "wrong.py").write_text("print('so far so good')\nraise SystemExit(3)\n")
    (tmp_path / "right.sh").write_text('test -n "$AWS_CA_BUNDLE" && command -v python\n')
    scenarios = Scenarios(cloud, Path(sys.executable), tmp_path, tmp_path)
    try:
        scenarios.start(["wrong.py", "right.sh"])
        scenarios.passed("right.sh")
        with pytest.raises(pytest.fail.Exception, match=r"(?s)wrong\.py ended with 3.*so far so good"):
            scenarios.passed("wrong.py")
    finally:
        scenarios.close()
