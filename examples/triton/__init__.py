"""A real pair on NVIDIA Triton: an intent classifier in F32 and in 8 bits, and what dynamic batching does."""
