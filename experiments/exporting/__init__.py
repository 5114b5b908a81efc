"""What is stored of an experiment, as files for other tools: the export, its part files, and their manifest."""
