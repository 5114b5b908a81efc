"""What the dashboard, the command line and the report show: computed once, in words and figures."""
