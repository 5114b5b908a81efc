"""Runnable set-ups: real models, real traffic."""
