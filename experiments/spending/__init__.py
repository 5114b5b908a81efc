"""What answers used, added up by day: money, machine time, energy and carbon, and what the cost levers saved."""
