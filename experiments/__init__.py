"""What an experiment is and what happens to it.

`config` and `model` say what an experiment is; `assignment`, `lifecycle` and `decision` decide, purely; `recorder`,
`scorers` and `evaluation` turn exchanges into evidence; `store` keeps everything; `controller` ticks.
"""
