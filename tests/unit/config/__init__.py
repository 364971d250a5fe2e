"""The rules that a schema cannot say, one function each."""
