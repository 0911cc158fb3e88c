"""From tapped packets to a film: journals, clocks, composition."""
