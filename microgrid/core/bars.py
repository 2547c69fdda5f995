"""Progress bars of tqdm, which are silent where there is no terminal and no notebook."""

from __future__ import annotations

import warnings
from typing import Any

from microgrid.core.packages import missing


def bar(wanted: bool | None, **given: Any) -> Any:
    """Return a bar of tqdm, None where it is not wanted or, unless it is, not installed. None is where it is seen."""
    if wanted is False:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a notebook without ipywidgets has no bar
            from tqdm.auto import tqdm
    except ImportError:
        if wanted is None:
            return None
        raise ImportError(missing("tqdm", "train")) from None
    return tqdm(disable=False if wanted else None, **given)
