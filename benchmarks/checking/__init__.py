"""How far `dlhw check` can be trusted: right measurements, measurements with a mistake planted in them, and a judge."""
