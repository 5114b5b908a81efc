"""Reports of an experiment as one file, for a decision meeting and for an auditor: HTML that stands alone, Markdown."""
