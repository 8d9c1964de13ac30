"""Submissions: folders of plain data, checked before anything looks at them."""
