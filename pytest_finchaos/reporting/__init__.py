"""``report.json``, and from it alone HTML, Markdown, the story of a failure and JUnit properties."""
