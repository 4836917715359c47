"""What a report is made of, typed, and the readers that make it of plain values as `results.json` has them."""
