"""Doctests in docstrings -> blocks of Python on the page."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(?:^>>> .*(?:\n(?!\s*$).*)*)+", re.M)
"""A prompt and the lines that follow it, up to an empty one."""


class Examples(Extension):
    """Put what begins with a prompt between fences, without instructions to doctest."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change an object's docstring."""
        if obj.docstring is not None:
            text = re.sub(r"  # doctest:.*", "", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)
