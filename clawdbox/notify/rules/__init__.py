"""Pure decisions: which events are told, in which words, to whom, and when it is tried again."""
