"""The notebook in examples/."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy", reason="the report needs numpy")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "trace_lab.ipynb"
_CELL_SECONDS = 300


def test_it_is_kept_without_outputs() -> None:
    """Outputs are large, and differ from run to run."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    assert all(cell.get("execution_count") is None for cell in cells)


@pytest.mark.no_asan("a kernel of Jupyter under it would take minutes to start")
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel runs all cells; what they print is in the recording."""
    pytest.importorskip("matplotlib", reason="it draws a plot")
    pytest.importorskip("ipykernel", reason="a kernel runs it")
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs it")
    nbformat: Any = pytest.importorskip("nbformat", reason="nbclient reads by it")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    traitlets: Any = pytest.importorskip("traitlets.config", reason="nbclient has it")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:
        # Not ports: others might take them before the kernel does.
        place = {"transport": "ipc", "ip": f"{sockets}/kernel"}
        nbclient.NotebookClient(
            notebook,
            timeout=_CELL_SECONDS,
            startup_timeout=_CELL_SECONDS,
            config=traitlets.Config({"KernelManager": place}),
        ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = [
        "".join(output.get("text", "") for output in cell.outputs) for cell in cells
    ]
    assert printed[0] == "5950 of 5950 passes are exact\n"
    assert printed[1].startswith("kfree_rcu_shrink_scan ")
    assert any("image/png" in output.get("data", {}) for output in cells[3].outputs)
    assert printed[4].startswith("0 findings by the defaults\n- ")
    assert "128 -> 896 objects scanned" in printed[5]
    assert "{'thread': 128}" in printed[5]
