"""What an operator wants, as data: goals, and how each rule kind lowers to the solver's primitive forms."""
