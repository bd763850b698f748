"""Every editing method through one door, on cases, under named protocols."""
