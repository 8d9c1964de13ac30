"""Texts of strangers: which characters they may hold, and which addresses may be links."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

#: Marks that reverse, isolate or hide what stands beside them.
_HIDDEN = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x200E, 0x200F, 0x2060,
           0xFEFF, 0x061C, 0x2028, 0x2029, 0x00AD}  # fmt: skip


def odd_character(text: str, *, lines: bool) -> str:
    """Name the first character that may not be in a text; empty where there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        if character == "\n" and lines:
            continue
        code = ord(character)
        control = unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")
        if code in _HIDDEN or control or 0xE0000 <= code < 0xE0080:
            return f"the character U+{code:04X}, which has no place there"
    return ""


def url_fault(url: str, *, https: bool = False) -> str:
    """Say why an address cannot be shown as a link; empty where it can.

    `https` also refuses plain http, for what is downloaded.
    """
    if any(c.isspace() or c in '\\"<>`' or ord(c) < 33 for c in url):
        return "holds a space, a quotation mark, an angle bracket or a backslash"
    if https and not url.isascii():
        return "holds letters that are not ASCII"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    allowed = ("https",) if https else ("http", "https")
    if parts.scheme not in allowed:
        return f"does not begin with {' or '.join(f'{name}://' for name in allowed)}"
    if not host:
        return "has no host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or a password"
    return ""
