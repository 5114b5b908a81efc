"""The quality of each day, computed beside the controller and sent to where a team keeps its figures."""
