"""The backends' side: which endpoint is asked, when one is left out, and the way there."""
