"""OpenSSH's multiplexing protocol over a lease's link, so that `ssh -S` and all that calls ssh can use it."""
