"""Experiments of other systems, and ours for them: what matches is converted, what does not is told, line by line.

    conversion     what was found: a document, what was refused, what was left out; the choices that a file leaves open
    json_lines     where in a JSON file a key stands
    growthbook     features of GrowthBook's SDK payload <-> our experiments
    tensorzero, tensorzero_export     functions of TensorZero's configuration <-> our experiments
    evaluation     a unit's variant, as flags: what OpenFeature and OFREP answer
    flag_source    the current flags, read from the store
    openfeature    a provider for OpenFeature's SDK, in an app's own process

One principle decides between refusing and leaving out: **what changes who is served what is refused; what only
measures, or only describes, is left out and named.**
"""
