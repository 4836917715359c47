"""Numbers as text, and the one table that page, Markdown and terminal show."""
