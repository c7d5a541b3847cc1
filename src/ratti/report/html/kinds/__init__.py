"""One file a kind of report: `SCHEMA` names what it reads, `run(content, folder)` gives the run that a page shows."""
