"""Pure decisions about turns and about what a command puts out."""
