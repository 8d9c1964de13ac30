"""Shape annotations: jaxtyping for readers and for the tests, nothing at run time.

Importing jaxtyping costs as much as importing NumPy, so it is used only where it is already
loaded: the test suite imports it first and then every annotated call is checked.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int
else:

    class _Unchecked:
        def __getitem__(self, item: tuple[type, str]) -> Any:
            return item[0]

    Bool = Float = Int = _Unchecked()

__all__ = ["Bool", "Float", "Int"]
