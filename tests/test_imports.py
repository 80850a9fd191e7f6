"""Who imports whom: import-linter keeps the floors, this keeps circles out, between two files of one package too."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


@pytest.fixture(scope="module")
def imports() -> Mapping[str, set[str]]:
    """For each module those that it imports, also those that it names in its types only.

    The package itself imports nothing: it loads its public names when they are asked for (tests/library).
    """
    graph = grimp.build_graph("ssmssh", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    return {**imports, "ssmssh": set()}


def circle(imports: Mapping[str, set[str]]) -> set[str]:
    """The modules of one circle of imports; none if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return set(error.args[1])
    return set()


def test_the_imports_are_found(imports: Mapping[str, set[str]]) -> None:
    assert len(imports) > 150
    assert "ssmssh.session.link" in imports["ssmssh.session.session"]
    assert "ssmssh.websocket.transport" in imports["ssmssh.websocket.client"]


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()


def test_no_circles(imports: Mapping[str, set[str]]) -> None:
    assert circle(imports) == set()
