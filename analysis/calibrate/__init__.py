"""The calibration study: are the methods as good as they claim? Scenarios, bars, and the usual methods beside them.

study              what a scenario, a measure and a bar are; how samples become a row of the report   pure
comparators        naive and peers' methods, for comparison only                                      pure
scenarios/         what is drawn, measured and asked for: 1 to 20                                     pure
runner             blocks of replicates over processes; the same result with any number of them
report, figure     rows -> Markdown and SVG                                                           pure
__main__           the command: `python -m analysis.calibrate`; the only place that writes files
"""
