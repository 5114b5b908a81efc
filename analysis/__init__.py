"""Pure statistics: numbers in, estimates out. Knows no database, no asyncio and no clock."""
