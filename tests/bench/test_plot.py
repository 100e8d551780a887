"""Pictures of results that are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")
pytest.importorskip("matplotlib", reason="plots need matplotlib")

import matplotlib as mpl
from bench_suites import factory, invoke, made_up, no_measuring, suite, usual
from matplotlib.backends.backend_agg import FigureCanvasAgg

from shrinker.bench.plot import STYLE, draw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    """Draw as pictures are drawn."""
    with mpl.rc_context(STYLE):
        yield


def test_plots_are_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG and an SVG are written, with something on them, and their paths said."""
    monkeypatch.chdir(tmp_path)
    no_measuring(monkeypatch, made_up("native"))
    (tmp_path / "sub").mkdir()
    result = invoke("native", "-o", "result.json", "--plot", "sub/picture")
    assert result.exit_code == 0, result.output
    png = (tmp_path / "sub/picture.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.rstrip().endswith(b"IEND\xaeB`\x82")
    assert len(png) > 30_000
    svg = (tmp_path / "sub/picture.svg").read_text()
    assert "<svg" in svg
    assert len(svg) > 20_000
    assert "sub/picture.png" in result.output
    assert "sub/picture.svg" in result.output


# Tables with three columns, with up to five, and with one.
@pytest.mark.parametrize("name", ["loop", "memcg", "native"])
def test_labels_are_apart(name: str) -> None:
    """A label for each value; none lies on another, or outside its panel."""
    benchmark = factory(name)()
    result = made_up(name, lambda line, n: usual(line) * (1 + n / 10))
    figure = draw(benchmark, result, "about")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    titles = [axes.get_title("left") for axes in figure.axes]
    for table, title in zip(benchmark.tables, titles, strict=True):
        assert title.startswith(table.title)
    for axes in figure.axes:
        frame = axes.get_window_extent()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert len(boxes) > 1
        for place, box in enumerate(boxes):
            assert frame.x0 < box.x0 < box.x1 < frame.x1
            assert frame.y0 < box.y0 < box.y1 < frame.y1
            assert not any(box.overlaps(other) for other in boxes[:place])


def test_ratios_stand_in_the_labels() -> None:
    """Behind the value; the title says what they are to."""
    result = suite({"loop: C4": [1e-8] * 2, "walk: 1 at priority 12": [2.5e-8] * 2})
    (axes,) = draw(factory("native")(), result, "about").axes
    assert [text.get_text() for text in axes.texts] == ["10.0", "25.0  (2.50x)"]
    assert axes.get_title("left") == "ns for a shrinker of a walk (by C4)"


def test_the_axis_is_logarithmic_where_values_are_far_apart() -> None:
    """And otherwise begins at 0, so that lengths can be compared."""
    for factor, scale in ((2, "linear"), (100, "log")):
        values = {"loop: C4": [1e-8], "walk: 1 at priority 12": [factor * 1e-8]}
        (axes,) = draw(factory("native")(), suite(values), "about").axes
        assert axes.get_xscale() == scale
        assert (axes.get_xlim()[0] == 0) == (scale == "linear")
