"""How long trials take: measured speed, estimates, forecasts."""
