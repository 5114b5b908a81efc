"""Prompt text -> language, script, switching."""
