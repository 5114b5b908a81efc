"""A Transformers model against its bitsandbytes copies, in 8 and in 4 bits, each behind an OpenAI-compatible server."""
