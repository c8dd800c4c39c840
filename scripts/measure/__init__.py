"""What the measuring scripts share; see scripts/bench.py and scripts/instructions.py."""
