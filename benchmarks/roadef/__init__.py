"""Google ROADEF/EURO challenge 2012, machine reassignment: its files, its rules and what others reached."""
