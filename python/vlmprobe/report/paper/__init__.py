"""The paper's tables and figures: page, Markdown, terminal."""
