"""Both answers to a request, to be read and labelled by people."""
