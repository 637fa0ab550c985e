"""The page of all figures and statements: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from calibrate.validate.paper.description import Figure
from calibrate.validate.paper.statements import Judged, row

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #ccc; }
svg { max-width: 100%; height: auto; }
.no { font-weight: bold; }
.small { color: #555; font-size: 13px; }
"""

HEADS = {
    **{"statement": "statement", "where": "paper's figure", "paper": "paper", "criterion": "holds if"},
    **{"predicted": "predicted", "predicted_holds": "holds?", "observed": "measured", "observed_holds": "holds?"},
    **{"observed_by": "by", "note": "note"},
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as it is on the page. svg: an element; words: what it shows, for who does not see it."""

    name: str
    figure: Figure
    svg: str
    words: str
    left_out: Sequence[str]


def page(gpu: str, drawn: Sequence[Drawn], judged: Sequence[Judged], notes: Sequence[str]) -> str:
    """HTML."""
    contents = " · ".join(f'<a href="#{d.name}">{escape(d.figure.title.split(":")[0])}</a>' for d in drawn)
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>The Framework Tax, predicted for {escape(gpu)}</title><style>{STYLE}</style></head><body>",
            f"<h1>The Framework Tax, predicted for {escape(gpu)}</h1>",
            *(f"<p>{escape(note)}</p>" for note in notes),
            f'<p><a href="#statements">Statements</a> · {contents}</p>',
            f'<h2 id="statements">Statements</h2>{_statements(judged)}',
            *(_section(d) for d in drawn),
            "</body></html>",
        ]
    )


def _statements(judged: Sequence[Judged]) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in HEADS.values())
    rows = []
    for one in judged:
        fields = row(one)
        cells = "".join(
            f"<td{' class=no' if fields[name] == 'no' else ''}>{escape(fields[name])}</td>" for name in HEADS
        )
        rows.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _section(drawn: Drawn) -> str:
    lacking = f'<p class="small">Left out: {escape("; ".join(drawn.left_out))}.</p>' if drawn.left_out else ""
    svg = drawn.svg.replace("<svg", f'<svg role="img" aria-label="{escape(drawn.words)}"', 1)
    return (
        f'<h2 id="{drawn.name}">{escape(drawn.figure.title)}</h2><p>{escape(drawn.figure.says)} '
        f'<span class="small">Data: {drawn.name}.csv.</span></p>{svg}{lacking}'
    )
