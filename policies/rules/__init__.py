"""How each rule kind lowers to the primitive forms of `cluster/problem.py`: one module a kind."""
