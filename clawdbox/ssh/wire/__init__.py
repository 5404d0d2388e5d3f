"""SSH itself: dialling, commands, terminals and the demo server. The only place that imports asyncssh."""
