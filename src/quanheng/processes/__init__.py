"""Life cycles: instances in their states, timers and business time, messages that wait to be sent."""
