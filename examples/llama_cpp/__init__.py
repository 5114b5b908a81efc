"""A pair of GGUF files on llama.cpp: made, served, benchmarked, and ready for an experiment."""
