"""The gateway's own protocol: frames, the device's signature, the dialogue, and how a gateway is reached."""
