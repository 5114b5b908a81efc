"""The command line: one command, or one small family of commands, a file; `app` puts them together.

Every command is thin: it reads its options, calls one function elsewhere, and prints. What all of them share (how to
fail in one clear line, opening the store, printing) is in `common`.
"""
