"""What an answer costs in energy on this machine: the demo's original and a quantized copy, metered by CodeCarbon."""
