"""An embedding pair on a CPU: MiniLM in F32 against smaller copies, on llama.cpp (GGUF) and on ONNX Runtime."""
